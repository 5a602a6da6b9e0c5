"""A comparison on the page: figures of both sides, who is promoted, and where the two differ most."""

from typing import Any

from tests.udfs.report.parsed import parsed
from tests.udfs.report.reports import MADE_AT, compared, comparison, report_of
from udfs.report.comparison import comparison_section

ROWS = [comparison("fake://echo", "first_accepted", 0.9), comparison("fake://echo", "samples", 40.0)]
PROMOTION = {"model": "fake://echo", "prompt": "hqclip_student", "why": "named by hand", "promoted_at": MADE_AT}


def shown(examples: list[dict[str, Any]], promotions: list[dict[str, Any]] | None = None) -> str:
    rows = {"comparisons": ROWS, "compared": examples, "promotions": promotions or []}
    return parsed(comparison_section(report_of(rows, texts={"a": "a kite"})).content).text


def test_figures_stand_with_those_they_are_of() -> None:
    text = shown([])
    assert "rules://" in text
    assert "fake://echo with hqclip_student" in text
    assert "90.0 %" in text
    assert "Where they differ most" not in text


def test_an_example_shows_both_texts_with_their_scores() -> None:
    text = shown([compared("A red kite")])
    assert "First, similarity 21.5" in text
    assert "A red kite" in text
    assert "differ most by similarity" in text


def test_an_example_without_a_text_says_why() -> None:
    example = compared("A red kite") | {"second_reason": "not_json", "second_long_positive": None}
    text = shown([example | {"first_similarity": None, "second_similarity": None}])
    assert "rejected: not json" in text
    assert "differ most by words" in text


def test_who_is_promoted_is_said() -> None:
    assert "Nobody is promoted" in shown([])
    assert "Promoted is fake://echo with hqclip_student since 2026-01-02 03:04 UTC: named by hand" in shown(
        [], [PROMOTION]
    )


def test_a_lake_without_a_comparison_says_what_to_run() -> None:
    assert "compare_captions does that" in comparison_section(report_of()).content
