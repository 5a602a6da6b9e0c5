"""Galleries: what differs is marked, a duplicate stands beside the one that stays, a reason says what was measured."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.udfs.report.parsed import parsed
from tests.udfs.report.reports import full
from udfs.report.gallery import differences, gallery_section, rejected_section, why_of
from udfs.report.html import one_line

_ROW: dict[str, Any] = {
    "detail": None,
    "kept_id": None,
    "distance": None,
    "width": 20,
    "height": 200,
    "aspect": 10.0,
    "words": 1,
    "language": "de",
    "language_score": 0.9,
    "entropy": 0.05,
    "flat_share": 0.99,
    "repetition": 0.7,
}


def test_the_words_in_which_two_texts_differ_are_marked() -> None:
    before, after = differences("A red kite.", "A blue kite.")
    assert before == "<bdi>A <mark>red</mark> kite.</bdi>"
    assert after == "<bdi>A <mark>blue</mark> kite.</bdi>"


@given(st.text(max_size=200), st.text(max_size=200))
def test_marking_changes_no_word(one: str, other: str) -> None:
    for html, text in zip(differences(one, other), (one, other), strict=True):
        assert parsed(html).text == (one_line(text) or "none")


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        ("too_small", "20 by 200 pixels"),
        ("extreme_aspect", "20 by 200 pixels, 10.0 times as long as wide"),
        ("no_detail", "99.0 % of one colour, entropy 0.05 bits"),
        ("other_language", "language de, 90.0 % sure"),
        ("repetitive_text", "70.0 % of the words repeat"),
    ],
)
def test_a_reason_says_what_was_measured(reason: str, why: str) -> None:
    assert why_of(_ROW | {"reason": reason}) == f"<bdi>{why}</bdi>"


def test_a_pair_that_was_never_measured_has_its_reason_alone() -> None:
    assert why_of(_ROW | {"reason": "too_small", "width": None}) is None


def test_a_detail_goes_before_what_was_measured() -> None:
    assert why_of(_ROW | {"reason": "too_small", "detail": "2 by 2"}) == "<bdi>2 by 2</bdi>"


def test_a_duplicate_stands_beside_the_pair_that_stays() -> None:
    content = rejected_section(full("a kite")).content
    assert 'alt="turned away: a kite"' in content
    assert 'alt="stays: a kite"' in content


def test_a_row_without_an_image_is_listed() -> None:
    assert "Never taken in" in rejected_section(full("a kite")).content


def test_a_published_pair_shows_all_its_texts() -> None:
    found = parsed(gallery_section(full("a kite")).content).text
    for name in ("Alt-text", "Tags that came with it", "Long positive", "Short positive", "Long negative"):
        assert name in found
