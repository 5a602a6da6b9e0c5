"""What stands behind the question mark of a model's URI: read by name, with a guess where a name is mistyped."""

import difflib
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from lakehouse.errors import UnknownModel

Reader = Callable[[str], Any]
"""Makes a value of its text; raises ValueError, whose message says what is expected."""


def read_query(uri: str, readers: Mapping[str, Reader]) -> dict[str, Any]:
    """Return the settings of ``uri`` by name; raise UnknownModel for one that there is not, or a value it cannot have.

    >>> read_query("hf://llava?batch_size=4", {"batch_size": int})
    {'batch_size': 4}
    """
    values = {}
    for name, text in parse_qsl(uri.partition("?")[2], keep_blank_values=True):
        if name not in readers:
            near = difflib.get_close_matches(name, readers, n=1)
            guess = f": did you mean {near[0]}?" if near else f": expected one of {', '.join(readers)}"
            raise UnknownModel(f"unknown setting {name!r} in {uri!r}{guess}")
        try:
            values[name] = readers[name](text)
        except ValueError as error:
            raise UnknownModel(f"bad {name}={text} in {uri!r}: expected {error}") from None
    return values


def write_query(values: Mapping[str, Any]) -> str:
    """Return ``values`` as the part of a URI behind the question mark, without those that are None.

    >>> write_query({"images": True, "seed": None, "max_tokens": 512})
    'images=on&max_tokens=512'
    """
    return urlencode({name: _shown(value) for name, value in values.items() if value is not None})


def number(kind: Callable[[str], Any], accepts: Callable[[Any], bool], expected: str) -> Reader:
    """Return a reader of numbers of one ``kind`` that ``accepts`` takes."""

    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            raise ValueError(expected) from None
        if not accepts(value):
            raise ValueError(expected)
        return value

    return read


def one_of(*choices: str) -> Callable[[str], str]:
    """Return a reader of one of ``choices``."""

    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return text

    return read


def on_or_off(text: str) -> bool:
    """Return whether ``text`` is "on"; it may also be "off"."""
    return one_of("on", "off")(text) == "on"


def _shown(value: Any) -> Any:
    return ("off", "on")[value] if isinstance(value, bool) else value
