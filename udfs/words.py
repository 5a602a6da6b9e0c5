"""A text as words, and as the short phrases that a reader without the image could hold on to."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

_WORD: Final = re.compile(r"\w+(?:['\u2019-]\w+)*")
_WORD_OR_MARK: Final = re.compile(rf"{_WORD.pattern}|[^\w\s]")


def words_of(text: str) -> list[str]:
    """Return the words of ``text`` in lower case, in order, without punctuation.

    >>> words_of("It isn't a T-shirt.")
    ['it', "isn't", 'a', 't-shirt']
    """
    return _WORD.findall(text.lower())


def phrases_of(text: str) -> list[str]:
    """Return every word and punctuation mark of ``text``, and every pair of words with no mark between, each once.

    >>> phrases_of("No cat, no dog")
    ['no', 'cat', ',', 'dog', 'no cat', 'no dog']
    """
    tokens = _WORD_OR_MARK.findall(text.lower())
    pairs = (f"{one} {other}" for one, other in pairwise(tokens) if one[0].isalnum() and other[0].isalnum())
    return list(dict.fromkeys([*tokens, *pairs]))


def one_text(value: str | Sequence[str]) -> str:
    """Return tags as one text with commas between them; a text as it is.

    >>> one_text(["kite", "sky"]), one_text("A kite.")
    ('kite, sky', 'A kite.')
    """
    return value if isinstance(value, str) else ", ".join(value)
