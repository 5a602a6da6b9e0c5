"""What a model URI of a chat server says: where, which model, and all that can change an answer."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from lakehouse.errors import BadInput, UnknownModel
from udfs.chat.prices import Price, price_of
from udfs.uri_settings import Reader, number, on_or_off, one_of, read_query, write_query

OPENAI: Final = "https://api.openai.com/v1"


@dataclass(frozen=True, kw_only=True)
class ChatSettings:
    """A chat model and how it is asked. Everything but where, key, deadline and price can change an answer."""

    scheme: str
    endpoints: tuple[str, ...]
    """Base URLs, each with the path that ends before ``/chat/completions``: replicas of one model."""
    model: str
    revision: str = ""
    """Of the weights, if the person who runs the server names one: the server does not say."""
    temperature: float | None = 0.0
    """None: the server's own."""
    top_p: float | None = None
    seed: int | None = None
    max_tokens: int = 512
    structured: str = "json_schema"
    """How an answer is held to its form: json_schema, json_object, or off."""
    images: bool = True
    """Whether the model is shown the image; without, it rewrites what the web says of it."""
    max_pixels: int = 1_003_520
    """Images over it are made smaller before they are sent: 1,280 patches of 28 x 28, Qwen2-VL's usual budget."""
    key_env: str = ""
    """Environment variable that holds the key. By default OPENAI_API_KEY for OpenAI itself, and none elsewhere:
    a key is shown to nobody whom it was not meant for."""
    deadline: float = 120.0
    """Seconds that one answer may take in all, retries included."""
    price: Price | None = None
    """None where no price is known."""
    image_tokens: int | None = None
    """Most tokens that one image counts for; None for what is usual with the model."""

    @property
    def identity(self) -> str:
        """The URI without what cannot change an answer: moving a server to another host pays for nothing again."""
        own = {name: getattr(self, name) for name in _OF_THE_ANSWER}
        return f"{self.scheme}://{self.model}?{write_query(own)}"

    def key(self) -> str | None:
        """Return the key, from the environment of whoever asks; None where the server takes none.

        Raises BadInput where there should be one.
        """
        name = self.key_env or ("OPENAI_API_KEY" if self.scheme == "openai" else "")
        key = os.environ.get(name, "").strip()
        if not key and name:
            raise BadInput(f"no key for {self.scheme}://{self.model}: set {name} in the environment")
        return key or None


_OF_THE_ANSWER: Final = ("temperature", "top_p", "seed", "max_tokens", "structured", "images", "max_pixels")


def _temperature(text: str) -> float | None:
    if text == "default":
        return None
    return float(number(float, lambda value: 0 <= value <= 2, "default, or a number from 0 to 2")(text))


_PRICE = number(float, lambda value: 0 <= value < 1e6, "US dollars per million tokens")
READ: Final[Mapping[str, Reader]] = {
    "model": str,
    "revision": str,
    "temperature": _temperature,
    "top_p": number(float, lambda value: 0 < value <= 1, "a number over 0, up to 1"),
    "seed": number(int, lambda value: value >= 0, "a whole number"),
    "max_tokens": number(int, lambda value: 0 < value <= 1 << 20, "a whole number over 0"),
    "structured": one_of("json_schema", "json_object", "off"),
    "images": on_or_off,
    "max_pixels": number(int, lambda value: value >= 28 * 28, "a whole number, 784 or more"),
    "key_env": str,
    "deadline": number(float, lambda value: 0 < value <= 86_400, "seconds, over 0"),
    "image_tokens": number(int, lambda value: 0 < value <= 1 << 20, "a whole number over 0"),
    "usd_in": _PRICE,
    "usd_out": _PRICE,
}
"""What may stand behind the question mark of the URI, and how it is read."""


def read_settings(scheme: str, path: str) -> ChatSettings:
    """Return what the URI ``scheme://path`` says; raise UnknownModel for what cannot be meant.

    >>> read_settings("openai+http", "a:8000,b:8000/v1?model=m").endpoints
    ('http://a:8000/v1', 'http://b:8000/v1')
    """
    return settings_of(scheme, path, read_query(f"{scheme}://{path}", READ))


def settings_of(scheme: str, path: str, values: Mapping[str, Any], *, share: float = 1.0) -> ChatSettings:
    """Return the settings for ``values`` that the URI ``scheme://path`` has; ``share`` of the list price is paid.

    Whether a server is asked by batch is no part of the settings' own scheme: it changes no answer.
    """
    own, place, server = dict(values), path.partition("?")[0], scheme.replace("+batch", "")
    model = own.pop("model", place if server == "openai" else "")
    endpoints = (OPENAI,) if server == "openai" else _endpoints(server, place)
    if not model or not all(endpoints):
        form = f"{scheme}://MODEL" if server == "openai" else f"{scheme}://HOST:PORT/v1?model=MODEL"
        raise UnknownModel(f"unknown model {f'{scheme}://{path}'!r}: expected {form}")
    price = _price(f"{scheme}://{path}", price_of(server, model), own, share)
    return ChatSettings(scheme=server, endpoints=endpoints, model=model, price=price, **own)


def _price(uri: str, listed: Price | None, own: dict[str, Any], share: float) -> Price | None:
    """Take what is said of prices out of ``own`` and return it; else ``share`` of what is ``listed``."""
    read, written = own.pop("usd_in", None), own.pop("usd_out", None)
    if (read is None) != (written is None):
        raise UnknownModel(f"bad model {uri!r}: expected both usd_in and usd_out, or neither")
    if read is None or written is None:
        return listed and listed.at(share)
    return (listed or Price(0.0, 0.0))._replace(read=read, written=written)


def _endpoints(scheme: str, place: str) -> tuple[str, ...]:
    hosts, _, path = place.partition("/")
    if "@" in hosts:
        raise UnknownModel(f"bad model {scheme}://...: a password has no place in a URI: name its variable by key_env=")
    web = scheme.partition("+")[2]
    return tuple(f"{web}://{host}/{path}".rstrip("/") if host else "" for host in hosts.split(","))


assert set(READ) - {"usd_in", "usd_out"} <= {field.name for field in fields(ChatSettings)}
