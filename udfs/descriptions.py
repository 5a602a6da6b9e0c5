"""Read HQ-CLIP's four texts out of a model's answer, whatever the answer is."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

from udfs.alt_text import only_visible
from udfs.answers import UnreadableAnswer, read_object
from udfs.tags import normal_tag, split_tags

MAX_ANSWER_CHARS: Final = 64 * 1024
"""An answer this long was cut by the ledger, and is no description of one image."""

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
_MAX_DETAIL_CHARS = 200
_SPACES = re.compile(r"\s+")
_DANGLING = re.compile(r"^[\s\"'“”„«»]+|[\s\"'“”„«»]+$")
_UNSAFE = re.compile(
    r"https?://|\bwww\.\w|</?[a-zA-Z!][^<>]{0,200}>|!?\[[^\[\]]{0,200}\]\(|\b[\w.+-]{1,64}@[\w-]{1,63}\.[a-z]",
    re.IGNORECASE,
)


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


class _Rejected(Exception):
    """An answer that has no four texts; never leaves this module."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


@dataclass
class _Repairs:
    """The names of the repairs made so far."""

    names: dict[str, None] = field(default_factory=dict)

    def apply(self, name: str, mend: Callable[[str], str], text: str) -> str:
        """Return ``mend(text)``, with ``name`` on record if that changed something."""
        mended = mend(text)
        if mended != text:
            self.names[name] = None
        return mended


def parse_answers(answers: pa.Array | pa.ChunkedArray) -> pa.RecordBatch:
    """Return one row an answer, in order, with columns as in ``TEXTS_SCHEMA``; a null answer is an empty one."""
    rows = [vars(parse_answer(answer)) for answer in _decoded(answers)]
    return pa.RecordBatch.from_pylist(rows, schema=TEXTS_SCHEMA)


def parse_answer(answer: str | None) -> Texts:
    """Return the four texts in ``answer``, or the reason why it has none; never raise.

    The answer is read as strict JSON, in which a Markdown fence and prose around the object are passed over; if that
    fails, commas and quotes are mended. What had to be done stands in ``repairs``; what would take a guess is a reject.

    >>> answer = '{"long_positive": "The image shows a kite.", "short_positive": ["Kite"],'
    >>> answer += '"long_negative": "The image shows a drum.", "short_negative": ["drum",]}'
    >>> parse_answer(answer).repairs
    ('trailing_comma', 'upper_case')
    >>> parse_answer("I cannot help with that.").reason
    'not_json'
    """
    repairs = _Repairs()
    try:
        return _parsed(answer, repairs)
    except _Rejected as rejected:
        detail = only_visible(rejected.detail)[:_MAX_DETAIL_CHARS]
        return Texts(repairs=tuple(repairs.names), reason=rejected.reason, detail=detail)


def _parsed(answer: str | None, repairs: _Repairs) -> Texts:
    if answer is None or not only_visible(answer[:MAX_ANSWER_CHARS]).strip():
        raise _Rejected("empty_answer", "the answer is missing or blank")
    if len(answer) >= MAX_ANSWER_CHARS:
        raise _Rejected("text_too_long", f"the answer has {len(answer)} characters, expected under {MAX_ANSWER_CHARS}")
    try:
        fields, mended = read_object(answer, expected=_FIELDS)
    except UnreadableAnswer as error:
        raise _Rejected("not_json", str(error)) from None
    repairs.names.update(dict.fromkeys(mended))
    texts = Texts(
        long_positive=_long_text(fields, "long_positive", repairs),
        short_positive=_tags(fields, "short_positive", repairs),
        long_negative=_long_text(fields, "long_negative", repairs),
        short_negative=_tags(fields, "short_negative", repairs),
        repairs=tuple(repairs.names),
    )
    _check(texts)
    return texts


def _long_text(fields: dict[str, object], name: str, repairs: _Repairs) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise _Rejected("missing_field", f"{name} is {_kind(value)}, expected text")
    text = repairs.apply("removed_invisible", only_visible, value)
    text = repairs.apply("white_space", lambda text: _SPACES.sub(" ", text).strip(), text)
    if not any(character.isalnum() for character in text):
        raise _Rejected("missing_field", f"{name} holds no word")
    if len(text) > MAX_LONG_CHARS:
        raise _Rejected("text_too_long", f"{name} has {len(text)} characters, expected at most {MAX_LONG_CHARS}")
    return text


def _tags(fields: dict[str, object], name: str, repairs: _Repairs) -> tuple[str, ...]:
    raw = _raw_tags(fields.get(name), name, repairs)
    if len(raw) > MAX_TAGS:
        raise _Rejected("text_too_long", f"{name} has {len(raw)} tags, expected at most {MAX_TAGS}")
    mended = [_tag(tag, repairs) for tag in raw]
    tags = tuple(dict.fromkeys(tag for tag in mended if tag))
    if None in mended:
        repairs.names["dropped_tags"] = None
    if len(tags) < len(mended) - mended.count(None):
        repairs.names["duplicate_tags"] = None
    if not tags:
        raise _Rejected("missing_field", f"{name} holds no tag of 1 to 60 characters")
    return tags


def _raw_tags(value: object, name: str, repairs: _Repairs) -> list[str]:
    if isinstance(value, str):
        repairs.names["split_tags"] = None
        return split_tags(value)
    if not isinstance(value, list):
        raise _Rejected("missing_field", f"{name} is {_kind(value)}, expected a list of texts")
    strange = [tag for tag in value if not isinstance(tag, str)]
    if strange:
        raise _Rejected("missing_field", f"{name} holds {_kind(strange[0])}, expected a list of texts")
    return [tag for tag in value if isinstance(tag, str)]


def _tag(tag: str, repairs: _Repairs) -> str | None:
    """Return the tag in normal form, or None if it has none, with every kind of change on record."""
    tag = repairs.apply("removed_invisible", only_visible, tag)
    tag = repairs.apply("white_space", lambda text: _SPACES.sub(" ", text).strip(), tag)
    # A dangling quote is the malformed tag in the paper's own figure 1.
    tag = repairs.apply("dangling_quote", lambda text: _DANGLING.sub("", text), tag)
    tag = repairs.apply("upper_case", str.lower, tag)
    normal = normal_tag(tag)
    if normal is not None and normal != tag:
        repairs.names["normal_form"] = None
    return normal


def _check(texts: Texts) -> None:
    """Raise _Rejected if the texts contradict each other or hold what no caption should."""
    shared = [tag for tag in texts.short_positive if tag in texts.short_negative]
    if shared:
        raise _Rejected("contradicting_tags", f"{shared[0]!r} stands in both lists")
    if texts.long_positive == texts.long_negative:
        raise _Rejected("missing_field", "long_negative repeats long_positive")
    for text in _all_texts(texts):
        if found := _UNSAFE.search(text):
            raise _Rejected("unsafe_text", f"a text holds {found.group()!r}")


def _all_texts(texts: Texts) -> Iterator[str]:
    yield from filter(None, (texts.long_positive, texts.long_negative))
    yield from texts.short_positive
    yield from texts.short_negative


def _kind(value: object) -> str:
    names = {type(None): "missing, null or a number", bool: "true or false", dict: "an object", list: "a list"}
    return names.get(type(value), "text")


def _decoded(answers: pa.Array | pa.ChunkedArray) -> Iterator[str | None]:
    # Through binary: one answer that is not UTF-8 must not fail the whole batch.
    for answer in answers.cast(pa.large_binary()).to_pylist():
        yield None if answer is None else answer.decode(errors="replace")
