"""What counts as a rating, and what does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.ratings import parse_rating
from udfs.reasons import REASONS


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ('{"rating": 7}', 7),
        ('{"rating": 10}', 10),
        ('{"rating": 0, "why": "it shows 3 ducks"}', 0),
        ('```json\n{"rating": 8.5}\n```', 8.5),
        ('Here you are: {"rating": "6"}', 6),
        ('{"rating": 4} {"rating": 4}', 4),
        ("8", 8),
        ("8/10", 8),
        ("**9** out of 10", 9),
        ("Rating: 3", 3),
        ("score = 0.5.", 0.5),
    ],
)
def test_a_rating_is_read(answer: str, value: float) -> None:
    assert parse_rating(answer).value == value


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "empty_answer"),
        (" ", "empty_answer"),
        ('{"rating": 11}', "missing_field"),
        ('{"rating": -1}', "missing_field"),
        ("100", "missing_field"),
        ('{"rating": null}', "not_json"),
        ('{"rating": NaN}', "not_json"),
        ('{"rating": true}', "not_json"),
        ('{"rating": 3} or rather {"rating": 9}', "not_json"),
        ('{"rating": 1e9999}', "not_json"),
        ("It shows 3 ducks on a lake.", "not_json"),
        ("3 ducks", "not_json"),
        ("1234567", "not_json"),
        ("I'm sorry, I cannot rate it.", "refused"),
    ],
)
def test_a_guess_is_no_rating(answer: str | None, reason: str) -> None:
    found = parse_rating(answer)
    assert (found.value, found.reason) == (None, reason)
    assert found.reason in REASONS
    assert found.detail


@given(st.text())
def test_no_answer_is_too_strange(answer: str) -> None:
    found = parse_rating(answer)
    assert (found.value is None) == (found.reason is not None)
