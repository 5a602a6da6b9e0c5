"""Read one of RECAP's captions out of a model's answer: one line of plain text, or the reason why there is none."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from udfs.alt_text import only_visible
from udfs.answer_checks import Rejected, Repairs, check_answer, check_prose, check_safe, decoded, single_spaced

SHORT: Final = "recap_short"
LONG: Final = "recap_long"

MAX_CHARS: Final[Mapping[str, int]] = {SHORT: 300, LONG: 1500}
"""Longest caption by kind; CLIP's 77 tokens are about 350 characters."""

_MOST_AROUND = 4
"""How many times as long as its caption an answer may be."""

CAPTION_SCHEMA: Final = pa.schema(
    {
        "text": pa.string(),
        "repairs": pa.list_(pa.string()),
        "reason": pa.string(),
        "detail": pa.string(),
    }
)
"""Columns of ``parse_captions``: ``text`` is null exactly where ``reason`` is set."""

_FENCE = re.compile(r"\A```[\w-]*\s*|\s*```\Z")
# What models say before the caption: "Sure! Here is a short caption:", "**Caption:**", "Short description -".
_LABEL = re.compile(
    r"\A(?:(?:sure|certainly|of course|okay|ok)\b[^:\n]{0,20}[!,.]\s*)?"
    r"(?:here(?:'s| is| are)\b[^:\n]{0,80}:|"
    r"[*_#\s]*(?:(?:the|my|final|short|long|brief|detailed|image|picture|one|sentence)[\s-]+){0,4}"
    r"(?:caption|recaption|description|answer|alt[\s-]text)[*_]*\s*:)[*_]*\s*",
    re.IGNORECASE,
)
_QUOTES = (('"', '"'), ("'", "'"), ("`", "`"), ("“", "”"), ("\u2018", "\u2019"), ("„", "“"), ("«", "»"))
_NOT_PROSE = re.compile(r"\A\s*[{\[|]|^\s*(?:[-*•#]+|\d{1,2}[.)])\s", re.MULTILINE)


@dataclass(frozen=True)
class Caption:
    """One caption, or the reason why there is none."""

    text: str | None = None
    repairs: tuple[str, ...] = ()
    """What had to be mended to read the answer, by name, in order, each once."""
    reason: str | None = None
    """From the closed list in ``udfs.reasons``; None exactly where there is a text."""
    detail: str | None = None
    """What was wrong, for people."""


def parse_captions(
    kinds: pa.Array, answers: pa.Array | pa.ChunkedArray, prompts: Mapping[str, str] | None = None
) -> pa.RecordBatch:
    """Return one row an answer, in order, with columns as in ``CAPTION_SCHEMA``.

    ``kinds`` says which caption each answer should hold; ``prompts`` has the text that asked for it, by kind.
    """
    asked = zip(kinds.to_pylist(), decoded(answers), strict=True)
    rows = [vars(parse_caption(answer, kind, prompt=(prompts or {}).get(kind, ""))) for kind, answer in asked]
    return pa.RecordBatch.from_pylist(rows, schema=CAPTION_SCHEMA)


def parse_caption(answer: str | None, kind: str, *, prompt: str = "") -> Caption:
    """Return the caption in ``answer``, or the reason why it has none; never raise.

    A Markdown fence, words of introduction and quotes around the whole are taken off, on record; what would take a
    guess is a reject.

    >>> parse_caption('Caption: "A duck on a lake."', SHORT)
    Caption(text='A duck on a lake.', repairs=('removed_label', 'removed_quotes'), reason=None, detail=None)
    >>> parse_caption("I'm sorry, I cannot see it.", SHORT).reason
    'refused'
    """
    repairs = Repairs()
    try:
        text = _unwrapped(_check_length(check_answer(answer), kind), repairs)
        _check(text, kind, prompt)
    except Rejected as rejected:
        return Caption(repairs=tuple(repairs.names), reason=rejected.reason, detail=rejected.detail)
    line = repairs.apply("white_space", single_spaced, text)
    return Caption(line, tuple(repairs.names))


def _check_length(answer: str, kind: str) -> str:
    # Before anything looks for what is to be taken off: in an endless answer that would take minutes.
    if len(answer) > _MOST_AROUND * MAX_CHARS[kind]:
        raise Rejected("text_too_long", f"the answer has {len(answer)} characters, expected one caption")
    return answer


def _unwrapped(answer: str, repairs: Repairs) -> str:
    """Return ``answer`` without what stands around the caption, layer by layer."""
    text = repairs.apply("removed_invisible", only_visible, answer).strip()
    while True:
        before = text
        text = repairs.apply("removed_fence", lambda text: _FENCE.sub("", text), text).strip()
        text = repairs.apply("removed_label", lambda text: _LABEL.sub("", text), text).strip()
        text = repairs.apply("removed_quotes", _without_quotes, text).strip()
        if text == before:
            return text


def _without_quotes(text: str) -> str:
    for opening, closing in _QUOTES:
        inner = text[1:-1]
        is_quoted = len(text) > 1 and text[0] == opening and text[-1] == closing
        # Quotes inside may mean that the first and the last belong to different words.
        if is_quoted and opening not in inner and closing not in inner:
            return inner
    return text


def _check(text: str, kind: str, prompt: str) -> None:
    if not any(character.isalnum() for character in text):
        raise Rejected("empty_answer", "the answer holds no word")
    if found := _NOT_PROSE.search(text):
        raise Rejected("not_prose", f"a line begins with {found.group().strip()!r}: expected sentences")
    line = single_spaced(text)
    check_prose(kind, line, max_chars=MAX_CHARS[kind], prompt=prompt)
    check_safe(line)
