"""Suites in the report: run beside run, with intervals, and hostile names as text."""

from tests.udfs.report.parsed import parsed
from tests.udfs.report.reports import HOSTILE, MADE_AT, full, report_of
from udfs.report.suites import suites_section


def _metric(name: str, value: float, low: float | None = None) -> dict[str, object]:
    about = {"dataset": "demo/hard_negatives", "metric": "hard_negative_long", "n": 400, "evaluated_at": MADE_AT}
    high = None if low is None else value + 0.125
    return {"name": name, "value": value, "low": low, "high": high, **about}


def test_runs_stand_side_by_side_with_their_intervals() -> None:
    rows = [_metric("alt_text", 0.5), _metric("mix", 0.75, 0.625)]
    found = parsed(suites_section(report_of({"suites": rows})).content).text
    assert "image fits its true text better: long50.0 %75.0 % 62.5 to 87.5400" in found


def test_a_lake_without_suites_says_how_to_have_some() -> None:
    assert "evaluate_clip --hard-negatives" in suites_section(report_of({"suites": []})).content
    assert "gold.evaluations is not there yet" in suites_section(report_of()).content


def test_names_from_outside_stay_text() -> None:
    for text in HOSTILE:
        assert "<script" not in suites_section(full(text)).content
