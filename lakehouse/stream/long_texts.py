"""What is taken of a text that is longer than a text encoder reads, or says more than one thing."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from lakehouse.clip_tokens import clip_counter
from lakehouse.errors import StreamError

_BETWEEN_SENTENCES: Final = re.compile(r"(?<=[.!?])\s+")


class LongTexts(Protocol):
    """A policy for long texts."""

    def limit(self) -> Callable[[str], bool] | None:
        """Return what says of a text whether it may be chosen, or None where all may."""

    def part(self, text: str, first: float, second: float) -> str:
        """Return what is taken of a true text; the draws are in [0, 1)."""


@dataclass(frozen=True)
class Whole:
    """Every text as it is."""

    def limit(self) -> None:
        """Let all be chosen."""

    def part(self, text: str, first: float, second: float) -> str:
        """Return the text."""
        return text


@dataclass(frozen=True)
class FirstSentences:
    """The first ``most`` sentences."""

    most: int = 1

    def __post_init__(self) -> None:
        _check(self.most, self)

    def limit(self) -> None:
        """Let all be chosen."""

    def part(self, text: str, first: float, second: float) -> str:
        """Return the first sentences.

        >>> FirstSentences(2).part("A kite. It is red. The sky is grey.", 0, 0)
        'A kite. It is red.'
        """
        return " ".join(sentences(text)[: self.most])


@dataclass(frozen=True)
class SentenceSpan:
    """A run of 1 to ``most`` neighbouring sentences, drawn anew in every epoch (sub-captions, as in DreamLIP)."""

    most: int = 3

    def __post_init__(self) -> None:
        _check(self.most, self)

    def limit(self) -> None:
        """Let all be chosen."""

    def part(self, text: str, first: float, second: float) -> str:
        """Return a run whose length is drawn by ``first`` and whose place by ``second``.

        >>> SentenceSpan(2).part("A kite. It is red. The sky is grey.", 0.6, 0.6)
        'It is red. The sky is grey.'
        """
        said = sentences(text)
        length = 1 + int(first * min(self.most, len(said)))
        start = int(second * (len(said) - length + 1))
        return " ".join(said[start : start + length])


@dataclass(frozen=True)
class DropLong:
    """No text of more than ``most`` tokens: as RECAP drops what CLIP would cut (section 4). The row gives another one.

    Tokens are counted by CLIP's BPE, start and end included, or by ``count``.
    """

    most: int = 77
    count: Callable[[str], int] | None = None

    def __post_init__(self) -> None:
        _check(self.most, self)

    def limit(self) -> Callable[[str], bool]:
        """Let what is short enough be chosen."""
        count = self.count or clip_counter()
        return lambda text: count(text) <= self.most

    def part(self, text: str, first: float, second: float) -> str:
        """Return the text."""
        return text


POLICIES: Final[Mapping[str, Callable[[int], LongTexts]]] = {
    "first": FirstSentences,
    "span": SentenceSpan,
    "drop": DropLong,
}


def parse_long_texts(text: str) -> LongTexts:
    """Return the policy that a command line names: ``whole``, ``first:2``, ``span:3`` or ``drop:77``.

    >>> parse_long_texts("span:3")
    SentenceSpan(most=3)
    """
    name, _, number = text.partition(":")
    if text == "whole":
        return Whole()
    if name not in POLICIES or not number.isdecimal():
        raise StreamError(f"unknown policy for long texts {text!r}: expected whole, first:2, span:3 or drop:77")
    return POLICIES[name](int(number))


def sentences(text: str) -> list[str]:
    """Return the sentences of a text: what ends with a full stop, an exclamation or a question mark and a space.

    >>> sentences("Red, 2.5 m wide!  A kite")
    ['Red, 2.5 m wide!', 'A kite']
    """
    return _BETWEEN_SENTENCES.split(text.strip())


def _check(most: int, policy: LongTexts) -> None:
    if most < 1:
        raise StreamError(f"bad {policy}: expected a whole number from 1")
