"""Find the one JSON object in a model's answer, and mend what models commonly break in it."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

_MAX_STARTS = 20
"""Most opening braces that are tried: bounds the work on a hostile answer."""

_FENCE = re.compile(r"\A```[\w-]*|```\Z")
# A text as a whole, also one that never ends, or a comma before a closing bracket. Possessive: linear in the answer.
_TEXT = r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)'
_ANY_TEXT = re.compile(_TEXT, re.DOTALL)
_TEXT_OR_LAST_COMMA = re.compile(rf"({_TEXT})|,(?=\s*[}}\]])", re.DOTALL)
# Two quotes at the end of a text that is not empty: the paper's own figure 1 shows the tag ``landscape"``.
_DOUBLE_QUOTE = re.compile(r'(?<=[^\s\[,:{\\"])""(?=\s*[,\]}])')
_CONTROLS = re.compile(r"[\x00-\x1f]")


class UnreadableAnswer(Exception):
    """There is not exactly one JSON object to read; the text says what there is instead."""


def read_object(answer: str, *, expected: Sequence[str]) -> tuple[dict[str, object], tuple[str, ...]]:
    """Return the object in ``answer`` that has any of the ``expected`` fields, and the names of the repairs it took.

    Numbers, NaN and infinities are read as null: no text is one. Raise UnreadableAnswer if there is no such object, or
    if there are several that differ, for which of them was meant would be a guess.

    >>> read_object('Here it is: {"a": "b",}', expected=["a"])
    ({'a': 'b'}, ('removed_prose', 'trailing_comma'))
    """
    body = _FENCE.sub("", answer.strip()).strip()
    fence = ("removed_fence",) if body != answer.strip() else ()
    for text, mended in ((body, ()), _mended(body)):
        objects = [(fields, span) for fields, span in _objects_in(text) if any(name in fields for name in expected)]
        if objects:
            fields, (start, end) = objects[0]
            if any(other != fields for other, _ in objects):
                raise UnreadableAnswer(f"the answer holds {len(objects)} objects that differ")
            prose = ("removed_prose",) if text[:start].strip() or text[end:].strip() else ()
            return fields, (*fence, *prose, *mended)
    raise UnreadableAnswer(_what_there_is(body, expected))


def _objects_in(text: str) -> Iterator[tuple[dict[str, object], tuple[int, int]]]:
    """Yield the JSON objects in ``text`` with where they stand, the outer before the inner."""
    start = -1
    for _ in range(_MAX_STARTS):
        start = text.find("{", start + 1)
        if start < 0:
            return
        try:
            fields, end = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        yield fields, (start, end)


def _mended(text: str) -> tuple[str, tuple[str, ...]]:
    names = []
    for name, mend in _MENDS.items():
        mended = mend(text)
        names += [name] if mended != text else []
        text = mended
    return text, tuple(names)


def _without_controls(text: str) -> str:
    """Replace raw line breaks and other controls inside texts, where JSON does not allow them."""
    return _ANY_TEXT.sub(lambda match: _CONTROLS.sub(" ", match.group()), text)


_MENDS: Final[Mapping[str, Callable[[str], str]]] = {
    # In this order: a dangling quote would shift every text after it.
    "dangling_quote": lambda text: _DOUBLE_QUOTE.sub('"', text),
    "control_characters": _without_controls,
    "trailing_comma": lambda text: _TEXT_OR_LAST_COMMA.sub(lambda match: match[1] or "", text),
}


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a field stands twice")  # Python would take the last, other readers the first
    return fields


def _nothing(_: str) -> None:
    """Stand for a number: reading a long one costs quadratic time, and a file of infinities is no JSON."""


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_nothing, parse_float=_nothing, parse_constant=_nothing
)


def _what_there_is(body: str, expected: Sequence[str]) -> str:
    if "{" not in body:
        return "the answer holds no object"
    if not body.rstrip("`").rstrip().endswith("}"):
        return "the answer holds an object that does not end, or that text follows"
    return f"the answer holds no readable object with any of {', '.join(expected)}"
