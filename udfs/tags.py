"""Tags in one normal form, and the tags that came with a pair."""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from udfs.alt_text import only_visible

MAX_TAG_CHARS: Final = 60
"""Longest tag; a longer one is a sentence. HQ-CLIP's tags are short noun phrases."""

MAX_TAGS: Final = 100
"""Most tags that are read for one pair; a longer list is keyword spam."""

_KEYS = ("tags", "keywords", "subject")
_SPACES = re.compile(r"[\s_]+")
_SEPARATORS = re.compile(r"[,;|\n]")
# What a Perl script printed in the place of a tag: the reference, or the bare word.
_PERL_NOISE = re.compile(r"hash|(?:hash\s*\(\s*)?0x[0-9a-f]+\s*\)?|hash\s*\(.*")


def normal_tag(tag: str) -> str | None:
    """Return ``tag`` in normal form, or None if nothing is left of it or more than 60 characters are.

    Normal form: NFKC, lower case, single spaces also for underscores, visible characters, no punctuation at the ends.

    >>> normal_tag(' Ice_Cream" ')
    'ice cream'
    >>> normal_tag("--") is None
    True
    """
    if len(tag) > 4 * MAX_TAG_CHARS:  # bounds the work on a hostile one
        return None
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", only_visible(tag)).lower())
    trimmed = _trimmed(_SPACES.sub(" ", folded))
    has_content = any(character.isalnum() for character in trimmed)
    return trimmed if has_content and len(trimmed) <= MAX_TAG_CHARS else None


def tags_of(metadata: object) -> tuple[str, ...]:
    """Return the tags in a pair's metadata, in normal form, in order, each once; none if there are none to read.

    ``metadata`` is a JSON object as text or as a mapping, whose ``tags``, ``keywords`` and ``subject`` each hold a list
    or one string with commas; or such a list. What is no tag is left out: a Perl reference (``HASH(0x85cd6ec)``),
    the bare word ``hash``, and tags without a letter.

    >>> tags_of('{"tags": ["Duck", "hash", "duck", "11"], "keywords": "bird; farm"}')
    ('duck', 'bird', 'farm')
    """
    tags = dict.fromkeys(tag for tag in map(normal_tag, _raw_tags(metadata)) if tag and _is_tag(tag))
    return tuple(tags)[:MAX_TAGS]


def split_tags(tags: str) -> list[str]:
    """Return the tags in one string with commas, semicolons, bars or line breaks between them."""
    return _SEPARATORS.split(tags)


def _raw_tags(metadata: object) -> Iterator[str]:
    values = _loaded(metadata) if isinstance(metadata, str) else metadata
    if isinstance(values, Mapping):
        for key in _KEYS:
            yield from _strings(values.get(key))
    else:
        yield from _strings(values)


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield from split_tags(value)
    elif isinstance(value, Iterable) and not isinstance(value, bytes | Mapping):
        yield from (tag for tag in value if isinstance(tag, str))


def _loaded(metadata: str) -> object:
    try:
        return json.loads(metadata)
    except (ValueError, RecursionError):
        return None


def _is_tag(tag: str) -> bool:
    return not _PERL_NOISE.fullmatch(tag) and any(character.isalpha() for character in tag)


def _trimmed(tag: str) -> str:
    kept = [index for index, character in enumerate(tag) if not _is_edge(character)]
    return tag[kept[0] : kept[-1] + 1] if kept else ""


def _is_edge(character: str) -> bool:
    # Symbols stay: "c++" is a tag. The back-tick is a symbol to Unicode and a quote to people.
    return character in " `\u00b4" or unicodedata.category(character).startswith("P")
