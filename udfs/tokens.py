"""How many tokens a text has for a named tokenizer, counted as a trainer would."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from lakehouse.clip_tokens import clip_counter
from lakehouse.errors import BadInput

CLIP_LIMIT: Final = 77
"""Tokens that CLIP's text encoder reads, start and end included: RECAP drops captions that have more (section 4)."""


def count_tokens(tokenizer: str, texts: Iterable[str | None]) -> list[int | None]:
    """Return the tokens of each text, start and end included, uncut; null stays null.

    ``clip`` is the BPE that OpenAI's and open_clip's models share; both also mend mojibake and unescape HTML before,
    which changes no text that is free of either. Raises BadInput, with the tokenizers there are, for an unknown one.

    >>> count_tokens("clip", ["a photo of a cat", None, ""])
    [7, None, 2]
    """
    if tokenizer not in TOKENIZERS:
        raise BadInput(f"unknown tokenizer {tokenizer!r}: expected one of {', '.join(TOKENIZERS)}")
    count = TOKENIZERS[tokenizer]()
    return [None if text is None else count(text) for text in texts]


TOKENIZERS: Final[Mapping[str, Callable[[], Callable[[str], int]]]] = {"clip": clip_counter}
"""Name, as it stands in tables, to what makes a counter of tokens."""
