"""The text that came with an image, made safe before a model reads it."""

import re
import unicodedata
from typing import Final

MAX_PROMPT_CHARS: Final = 1000
"""Most characters of an alt-text that a prompt carries; HQ-CLIP's web texts are shorter, attacks are often longer."""

_SPACES = re.compile(r"\s+")
_FENCES = re.compile(r"(?:`{3,}|~{3,})")
# Letters without a glyph, and selectors that can hide text behind a visible character.
_BLANK_LETTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs"})


def only_visible(text: str) -> str:
    """Return ``text`` without characters that nobody sees: controls, bidi and zero-width marks, lone surrogates.

    Tabs and line breaks are white space and stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(character for character in text if _is_visible(character))


def clean_for_prompt(text: str, *, max_chars: int = MAX_PROMPT_CHARS) -> str:
    """Return ``text`` as one line of at most ``max_chars`` visible characters, which cannot end a fence around it.

    Runs of three or more back-ticks or tildes become an apostrophe. No more than ``4 * max_chars`` characters are read.
    """
    visible = only_visible(text[: 4 * max_chars])
    return _SPACES.sub(" ", _FENCES.sub("'", visible)).strip()[:max_chars].rstrip()


def _is_visible(character: str) -> bool:
    if character in "\t\n\r":
        return True
    is_selector = "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
    is_hidden = unicodedata.category(character) in _HIDDEN_CATEGORIES or character in _BLANK_LETTERS
    return not is_hidden and not is_selector
