"""What the URI of a model that is asked by batch says: a chat model, and how files and waiting are measured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lakehouse.errors import UnknownModel
from udfs.chat.settings import READ, ChatSettings, settings_of
from udfs.uri_settings import number, read_query

_SHARE: Final = 0.5
"""Of the list price: what OpenAI takes for an answer by batch. A price in the URI is taken as it stands."""


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """A chat model that is asked by batch. Nothing here but ``chat`` can change an answer."""

    chat: ChatSettings
    file_mb: float = 200.0
    """Most that one file holds, in millions of bytes: OpenAI's own limit, like the next."""
    file_lines: int = 50_000
    poll: float = 60.0
    """Longest pause between two looks at a batch, in seconds; the first is a second."""
    deadline: float = 24.0
    """Hours that a batch is given; it is cancelled a twenty-fourth of that later."""


OWN: Final[Mapping[str, Callable[[str], Any]]] = {
    "file_mb": number(float, lambda value: 0 < value <= 200, "a number over 0, up to 200"),
    "file_lines": number(int, lambda value: 0 < value <= 50_000, "a whole number from 1 to 50000"),
    "poll": number(float, lambda value: 0 < value <= 3600, "seconds, over 0, up to 3600"),
    "deadline": number(float, lambda value: 0 < value <= 240, "hours, over 0, up to 240"),
}
"""What may stand behind the question mark besides a chat model's settings, and how it is read."""


def read_batch_settings(scheme: str, path: str) -> BatchSettings:
    """Return what the URI ``scheme://path`` says; raise UnknownModel for what cannot be meant.

    >>> read_batch_settings("openai+batch", "gpt-4o").chat.price
    Price(read=1.25, written=5.0, image_tokens=3000)
    """
    values = read_query(f"{scheme}://{path}", {**READ, **OWN})
    own = {name: values.pop(name) for name in OWN if name in values}
    chat = settings_of(scheme, path, values, share=_SHARE)
    if len(chat.endpoints) > 1:
        raise UnknownModel(
            f"{len(chat.endpoints)} servers in {f'{scheme}://{path}'!r}: expected one, which keeps batches"
        )
    return BatchSettings(chat=chat, **own)
