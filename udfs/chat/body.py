"""The body of a request to a chat server, in bytes: instructions, image, then what the web said of it."""

from collections.abc import Mapping
from typing import Any, Final

import orjson
import pybase64

from udfs.chat.settings import ChatSettings
from udfs.prompts import second_question, split_prompt

MAX_QUOTED_CHARS: Final = 8_000
"""How much of an unreadable answer is shown to the model that is asked again."""


class BodyMaker:
    """Makes bodies for one model and one prompt; what all requests share is put together once.

    The instructions stand before the image, so that a server that keeps prefixes reads them once for all images.
    ``schema`` is the JSON schema of the answer; None where plain text is asked for.
    """

    def __init__(self, settings: ChatSettings, prompt: str, schema: Mapping[str, Any] | None) -> None:
        instructions = split_prompt(prompt)[0]
        shared = orjson.dumps({"model": settings.model, **_sampling(settings), **_form(settings, schema)})
        self._head = shared[:-1] + b',"messages":[{"role":"user","content":['
        self._head += _text(instructions) + b"," if instructions else b""

    def body(self, text: str, image: tuple[str, bytes] | None, *, unreadable: tuple[str, str] | None = None) -> bytes:
        """Return the request about ``image`` (its media type and bytes), with ``text`` as what is its own.

        ``unreadable`` is an answer that could not be read, with what was wrong with it: the model is asked again.
        """
        parts = [self._head]
        if image is not None:
            kind, content = image
            url = b'{"type":"image_url","image_url":{"url":"data:%s;base64,' % kind.encode()
            parts += [url, pybase64.b64encode(content), b'"}},']
        parts += [_text(text), b"]}"]
        if unreadable is not None:
            answer, complaint = unreadable
            parts += [
                b",",
                _message("assistant", answer[:MAX_QUOTED_CHARS]),
                b",",
                _message("user", second_question(complaint)),
            ]
        return b"".join([*parts, b"]}"])


def _sampling(settings: ChatSettings) -> dict[str, Any]:
    # OpenAI's newer models know only the longer name, most other servers only the shorter.
    length = "max_completion_tokens" if settings.scheme == "openai" else "max_tokens"
    values = {"temperature": settings.temperature, "top_p": settings.top_p, "seed": settings.seed}
    return {**{name: value for name, value in values.items() if value is not None}, length: settings.max_tokens}


def _form(settings: ChatSettings, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    if schema is None or settings.structured == "off":
        return {}
    if settings.structured == "json_object":
        return {"response_format": {"type": "json_object"}}
    form = {"name": "answer", "strict": True, "schema": schema}
    return {"response_format": {"type": "json_schema", "json_schema": form}}


def _text(text: str) -> bytes:
    return orjson.dumps({"type": "text", "text": text})


def _message(role: str, text: str) -> bytes:
    return orjson.dumps({"role": role, "content": text})
