"""Read a judge's rating out of its answer: 0 to 10, or the reason why there is none."""

import re
from dataclasses import dataclass
from typing import Final

from udfs.answer_checks import Rejected, check_answer, refusal_in

MOST: Final = 10
"""The best rating: the text says what is to be seen, and all that matters of it (HQ-CLIP, figure 4)."""

_NUMBER = r"(-?\d{1,4}(?:\.\d{1,4})?)(?!\.?\w)"
_IN_JSON = re.compile(rf'"rating"\s*:\s*"?{_NUMBER}')
# A judge that is not held to a schema says "8", "8/10", "Rating: 8" or "**8** out of 10", and nothing before it.
_PLAIN = re.compile(
    rf"[\s*_#]*(?:(?:rating|score)[\s*_:=]{{1,4}})?{_NUMBER}[\s*_.]*(?:\Z|(?:/|out of)\s*10\b)", re.IGNORECASE
)


@dataclass(frozen=True)
class Rating:
    """How well a text fits its image, or the reason why that is not known."""

    value: float | None = None
    """0 to 10; None exactly where there is a ``reason``."""
    reason: str | None = None
    """From the closed list in ``udfs.reasons``."""
    detail: str | None = None
    """What was wrong, for people."""


def parse_rating(answer: str | None) -> Rating:
    """Return the rating in ``answer``, in JSON or plainly as a number, or the reason why it has none; never raise.

    >>> parse_rating('{"rating": 7}').value, parse_rating("**8**/10").value, parse_rating("11/10").reason
    (7.0, 8.0, 'missing_field')
    """
    try:
        return Rating(_rating(check_answer(answer).strip()))
    except Rejected as rejected:
        return Rating(reason=rejected.reason, detail=rejected.detail)


def _rating(answer: str) -> float:
    plain = _PLAIN.match(answer)
    found = {plain[1]} if plain else set(_IN_JSON.findall(answer))
    if not found and (refusal := refusal_in(answer)):
        raise Rejected("refused", f"the judge begins with {refusal!r}")
    if len(found) != 1:
        raise Rejected("not_json", f"the answer holds {len(found)} ratings, expected one: {answer[:80]!r}")
    value = float(found.pop())
    if not 0 <= value <= MOST:
        raise Rejected("missing_field", f"rating is {value:g}, expected 0 to {MOST}")
    return value
