"""Read HQ-CLIP's four texts out of a model's answer, whatever the answer is."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from udfs.alt_text import only_visible
from udfs.answer_checks import (
    Rejected,
    Repairs,
    check_answer,
    check_prose,
    check_safe,
    decoded,
    single_spaced,
)
from udfs.answers import UnreadableAnswer, read_object
from udfs.tags import normal_tag, split_tags

MAX_LONG_CHARS: Final = 1500
"""Longest description; CLIP's 77 tokens are about 350 characters."""

MAX_TAGS: Final = 50
"""Most tags in one list; HQ-CLIP's examples have five to eight."""

TEXTS_SCHEMA: Final = pa.schema(
    {
        "long_positive": pa.string(),
        "short_positive": pa.list_(pa.string()),
        "long_negative": pa.string(),
        "short_negative": pa.list_(pa.string()),
        "repairs": pa.list_(pa.string()),
        "reason": pa.string(),
        "detail": pa.string(),
    }
)
"""Columns of ``parse_answers``: where ``reason`` is set, the long texts are null and the lists of tags are empty."""

_FIELDS = ("long_positive", "short_positive", "long_negative", "short_negative")
_DANGLING = re.compile(r"^[\s\"'“”„«»]+|[\s\"'“”„«»]+$")


@dataclass(frozen=True)
class Texts:
    """The four texts of one image, or the reason why there are none."""

    long_positive: str | None = None
    short_positive: tuple[str, ...] = ()
    long_negative: str | None = None
    short_negative: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()
    """What had to be mended to read the answer, by name, in order, each once."""
    reason: str | None = None
    """From the closed list in ``udfs.reasons``; None exactly where there are texts."""
    detail: str | None = None
    """What was wrong, for people."""


def parse_answers(answers: pa.Array | pa.ChunkedArray, *, prompt: str = "") -> pa.RecordBatch:
    """Return one row an answer, in order, with columns as in ``TEXTS_SCHEMA``; a null answer is an empty one."""
    rows = [vars(parse_answer(answer, prompt=prompt)) for answer in decoded(answers)]
    return pa.RecordBatch.from_pylist(rows, schema=TEXTS_SCHEMA)


def parse_answer(answer: str | None, *, prompt: str = "") -> Texts:
    """Return the four texts in ``answer``, or the reason why it has none; never raise.

    The answer is read as strict JSON, in which a Markdown fence and prose around the object are passed over; if that
    fails, commas and quotes are mended. What had to be done stands in ``repairs``; what would take a guess is a reject.
    A long text that copies ``prompt``, such as one of its examples, is one too.

    >>> answer = '{"long_positive": "The image shows a kite.", "short_positive": ["Kite"],'
    >>> answer += '"long_negative": "The image shows a drum.", "short_negative": ["drum",]}'
    >>> parse_answer(answer).repairs
    ('trailing_comma', 'upper_case')
    >>> parse_answer("I cannot help with that.").reason
    'not_json'
    """
    repairs = Repairs()
    try:
        return _parsed(answer, repairs, prompt)
    except Rejected as rejected:
        return Texts(repairs=tuple(repairs.names), reason=rejected.reason, detail=rejected.detail)


def _parsed(answer: str | None, repairs: Repairs, prompt: str) -> Texts:
    try:
        fields, mended = read_object(check_answer(answer), expected=_FIELDS)
    except UnreadableAnswer as error:
        raise Rejected("not_json", str(error)) from None
    repairs.names.update(dict.fromkeys(mended))
    texts = Texts(
        long_positive=_long_text(fields, "long_positive", repairs, prompt),
        short_positive=_tags(fields, "short_positive", repairs),
        long_negative=_long_text(fields, "long_negative", repairs, prompt),
        short_negative=_tags(fields, "short_negative", repairs),
        repairs=tuple(repairs.names),
    )
    _check(texts)
    return texts


def _long_text(fields: dict[str, object], name: str, repairs: Repairs, prompt: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise Rejected("missing_field", f"{name} is {_kind(value)}, expected text")
    text = repairs.apply("removed_invisible", only_visible, value)
    text = repairs.apply("white_space", single_spaced, text)
    if not any(character.isalnum() for character in text):
        raise Rejected("missing_field", f"{name} holds no word")
    check_prose(name, text, max_chars=MAX_LONG_CHARS, prompt=prompt)
    return text


def _tags(fields: dict[str, object], name: str, repairs: Repairs) -> tuple[str, ...]:
    raw = _raw_tags(fields.get(name), name, repairs)
    if len(raw) > MAX_TAGS:
        raise Rejected("text_too_long", f"{name} has {len(raw)} tags, expected at most {MAX_TAGS}")
    mended = [_tag(tag, repairs) for tag in raw]
    tags = tuple(dict.fromkeys(tag for tag in mended if tag))
    if None in mended:
        repairs.names["dropped_tags"] = None
    if len(tags) < len(mended) - mended.count(None):
        repairs.names["duplicate_tags"] = None
    if not tags:
        raise Rejected("missing_field", f"{name} holds no tag of 1 to 60 characters")
    return tags


def _raw_tags(value: object, name: str, repairs: Repairs) -> list[str]:
    if isinstance(value, str):
        repairs.names["split_tags"] = None
        return split_tags(value)
    if not isinstance(value, list):
        raise Rejected("missing_field", f"{name} is {_kind(value)}, expected a list of texts")
    strange = [tag for tag in value if not isinstance(tag, str)]
    if strange:
        raise Rejected("missing_field", f"{name} holds {_kind(strange[0])}, expected a list of texts")
    return [tag for tag in value if isinstance(tag, str)]


def _tag(tag: str, repairs: Repairs) -> str | None:
    """Return the tag in normal form, or None if it has none, with every kind of change on record."""
    tag = repairs.apply("removed_invisible", only_visible, tag)
    tag = repairs.apply("white_space", single_spaced, tag)
    # A dangling quote is the malformed tag in the paper's own figure 1.
    tag = repairs.apply("dangling_quote", lambda text: _DANGLING.sub("", text), tag)
    tag = repairs.apply("upper_case", str.lower, tag)
    normal = normal_tag(tag)
    if normal is not None and normal != tag:
        repairs.names["normal_form"] = None
    return normal


def _check(texts: Texts) -> None:
    """Raise Rejected if the texts contradict each other or hold what no caption should."""
    shared = [tag for tag in texts.short_positive if tag in texts.short_negative]
    if shared:
        raise Rejected("contradicting_tags", f"{shared[0]!r} stands in both lists")
    if texts.long_positive == texts.long_negative:
        raise Rejected("missing_field", "long_negative repeats long_positive")
    for text in _all_texts(texts):
        check_safe(text)


def _all_texts(texts: Texts) -> Iterator[str]:
    yield from filter(None, (texts.long_positive, texts.long_negative))
    yield from texts.short_positive
    yield from texts.short_negative


def _kind(value: object) -> str:
    names = {type(None): "missing, null or a number", bool: "true or false", dict: "an object", list: "a list"}
    return names.get(type(value), "text")
