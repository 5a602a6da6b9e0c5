"""Named filters, in SQL over what was measured of a pair: reason -> what must hold; the first that fails is given."""

from collections.abc import Mapping
from typing import Final

from lakehouse.errors import BadInput

# HASH(0x85cd6ec) and the like: what a program prints of its own memory.
_MACHINE = r"(?i)\\bhash\\s*\\(\\s*0x|\\b0x[0-9a-f]{6,}"

DEFAULT: Final[Mapping[str, str]] = {
    "too_small": "least(width, height) >= 32",
    "extreme_aspect": "aspect <= 5.0",
    "no_detail": "flat_share <= 0.985 AND entropy >= 0.15",
    "too_few_words": "words >= 1 AND chars >= 3",
    "file_name_text": "NOT is_file_name",
    "machine_text": f"NOT (has_url OR has_email OR has_html OR alt_text RLIKE '{_MACHINE}')",
    "repetitive_text": "repetition <= 0.6",
    # Language of two or three words is a guess: only a sure guess counts.
    "other_language": "language IN ('en', 'und') OR words < 4 OR language_score < 0.6",
    # A text on hundreds of images says nothing of any of them.
    "worn_text": "text_place <= 50",
}
"""Mild: it drops what no one would train on and leaves judgement of worth to scores."""

FILTERS: Final[Mapping[str, Mapping[str, str]]] = {"none": {}, "default": DEFAULT}


def rules_of(name: str, where: str = "") -> Mapping[str, str]:
    """Return the rules of the filter ``name``, with ``where`` as one more; raise BadInput for an unknown name."""
    if name not in FILTERS:
        raise BadInput(f"unknown filter {name!r}: expected one of {', '.join(FILTERS)}")
    return {**FILTERS[name], "by_request": where} if where else FILTERS[name]
