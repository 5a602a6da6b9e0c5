"""What is known of a sample without a model: its subject, tags, colours and shape, freed of the web's noise."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from udfs.alt_text import clean_for_prompt
from udfs.answer_checks import loop_in
from udfs.models import Request
from udfs.models.concepts import concept_of
from udfs.tags import tags_of

SHAPES: Final = ("square", "tall", "wide")
"""What a picture's format can be."""

WORD: Final = re.compile(r"[^\W\d_]+")
"""A run of letters."""

_MAX_SUBJECT_WORDS = 22
_MAX_SUBJECT_TOKENS = 34
_EDGES = " -.,;:!?'/&+_"

# What says nothing of the picture: who made it, with which program, and the traces of broken scripts.
_NOISE = re.compile(
    r"<[^<>]{0,300}>|\S*://\S*|\bwww\.\S+|\S*@\S*|\bhash\s?\(0x[0-9a-f]*\)?|\bcontact:|&[a-z#0-9]{1,8};|"
    r"\([^()]{0,40}\d\d:\d\d[^()]{0,40}\)|"
    r"\b(?:eps )?(?:converted|created|made|drawn|done) (?:from|with|using|by|in)\b.*|"
    r"\b(?:clip ?art|collection) by .{0,80}?(?: - |$)|\.(?:jpe?g|png|gif|svg|webp|bmp|tiff?)\b|[<>{}\[\]|\\^`~\"*#=]",
    re.IGNORECASE,
)
_NUMBERING = re.compile(r"(?<=[a-z]{3})[ -]?\d{1,4}$|^\d+[ -]+(?=\w)")
_LOOSE_END = re.compile(r"(?: (?:an?|and|at|by|for|from|in|of|on|or|the|to|with))+$", re.IGNORECASE)
# Not after "St." or "J.": a word of three letters, or a number, comes before.
_SENTENCE_END = re.compile(r"(?:(?<=\w{3})|(?<=\s\d)|(?<=\d\d))[.!?;](?:\s|$)")
_SPACES = re.compile(r"[\s_]+")
_PIECE = re.compile(r"[a-z]+|\d|\S", re.IGNORECASE)
_ARTICLES = frozenset({"a", "an", "the", "this", "some", "two", "three"})
_NAMES = frozenset({"country", "continent", "holiday"})


@dataclass(frozen=True)
class Facts:
    """What a description claims of an image; each of it can be swapped for something false."""

    subject: str
    """The alt-text's first words; empty if it held noise alone."""
    tags: tuple[str, ...]
    """In normal form; names of things first."""
    colours: tuple[str, ...]
    shape: str
    """square, tall or wide."""


def facts_of(request: Request) -> Facts:
    """Return what the request says of its image."""
    tags = tags_of([tag for tag in request.web_tags if not _NOISE.search(tag)])
    return Facts(
        subject=subject_of(request.alt_text),
        tags=tuple(sorted(tags, key=_vagueness)),
        colours=tuple(dict.fromkeys(name for name in map(str.lower, request.colours) if concept_of(name))),
        shape=_shape(request.width, request.height),
    )


def subject_of(alt_text: str) -> str:
    """Return the alt-text's first words without noise and within CLIP's limit, or nothing if only noise is there.

    >>> subject_of("Clipart by Nicu Buculei - beer")
    'beer'
    >>> subject_of("bee_02.svg")
    'bee'
    """
    text = _SPACES.sub(" ", _NOISE.sub(" ", clean_for_prompt(alt_text, max_chars=600))).strip(_EDGES)
    words = _SENTENCE_END.split(text, maxsplit=1)[0].split()[:_MAX_SUBJECT_WORDS]
    subject = _NUMBERING.sub("", " ".join(words_within(words, _MAX_SUBJECT_TOKENS)).strip(_EDGES))
    if subject.count("(") != subject.count(")") or "()" in subject:
        subject = _SPACES.sub(" ", subject.replace("(", " ").replace(")", " "))
    subject = _LOOSE_END.sub("", subject.strip(_EDGES)).strip(_EDGES)
    # Behind "of", as it will stand: what goes in circles says nothing of the picture.
    is_noise = not WORD.search(subject) or loop_in(f"of {subject}")
    return "" if is_noise else _uncapitalised(subject)


def words_within(words: Sequence[str], max_tokens: int) -> list[str]:
    """Return the first of ``words`` that fit into ``max_tokens`` tokens of CLIP; a first one that does not is cut.

    >>> words_within(["a", "red", "kite"], 3)
    ['a', 'red']
    """
    spent = 0
    for position, word in enumerate(words):
        spent += _tokens_at_most(word)
        if spent > max_tokens:
            return list(words[:position]) or [word[: max_tokens // 4]]
    return list(words)


def _tokens_at_most(word: str) -> int:
    # Three letters a token is pessimistic for English; CLIP writes digits one by one and other scripts byte by byte.
    return sum(-(-len(piece) // 3) if piece.isascii() else len(piece.encode()) for piece in _PIECE.findall(word))


def _uncapitalised(subject: str) -> str:
    first = subject.split(" ", maxsplit=1)[0]
    concept = concept_of(first.lower())
    is_common = first.lower() in _ARTICLES or (concept is not None and concept.group not in _NAMES)
    return subject[0].lower() + subject[1:] if is_common and first.istitle() else subject


def _vagueness(tag: str) -> int:
    """Return 0 for a tag that names a thing, 1 for a colour or a kind of thing, 2 for anything else."""
    levels = {concept.level for word in WORD.findall(tag) if (concept := concept_of(word))}
    return 0 if "thing" in levels else 1 if levels else 2


def _shape(width: int, height: int) -> str:
    # Within a tenth nobody calls a picture wide or tall.
    if 10 * min(width, height) >= 9 * max(width, height):
        return "square"
    return "wide" if width > height else "tall"
