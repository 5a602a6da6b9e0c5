"""Retrieval: runs stand side by side with chance, and the right image among the found ones is framed."""

import pytest

from tests.udfs.report.parsed import parsed
from tests.udfs.report.reports import MADE_AT, full, report_of
from udfs.report.retrieval import half_width, retrieval_section, shown_ids
from udfs.report.values import Training


def _metric(name: str, value: float) -> dict[str, object]:
    about = {"dataset": "held out", "metric": "text_to_image_r10", "n": 400, "evaluated_at": MADE_AT}
    return {"name": name, "value": value, **about}


def test_runs_stand_side_by_side_with_chance() -> None:
    rows = [_metric("alt_text", 0.25), _metric("mix", 0.5)]
    found = parsed(retrieval_section(report_of({"evaluations": rows})).content).text
    assert "image of a text is in the first 1025.0 % ± 4.250.0 % ± 4.92.5 %" in found


def test_only_the_best_run_is_set_in_bold() -> None:
    content = retrieval_section(report_of({"evaluations": [_metric("a", 0.25), _metric("b", 0.5)]})).content
    assert content.count('class="num best"') == 1


def test_runs_that_are_equal_are_both_plain() -> None:
    content = retrieval_section(report_of({"evaluations": [_metric("a", 0.25), _metric("b", 0.25)]})).content
    assert 'class="num best"' not in content


def test_the_right_image_is_framed_where_it_is_found() -> None:
    content = retrieval_section(full("a kite")).content
    assert content.count('class="picture right"') == 1
    assert 'alt="place 2, the right one: a kite"' in content
    assert "found at place 2" in content


def test_an_image_that_was_not_found_is_said_to_be_missing() -> None:
    example = {"query": "kite", "sample_id": "a", "found": ["b", "c"]}
    training = Training("mix", {}, {"examples": [example]})
    report = report_of({"evaluations": [_metric("mix", 0.5)]}, trainings=[training])
    assert "not among the first 2" in retrieval_section(report).content


def test_the_images_of_the_examples_are_asked_for_once_each() -> None:
    training = Training("mix", {}, {"examples": [{"query": "kite", "sample_id": "a", "found": ["b", "a"]}]})
    assert shown_ids([training, training]) == ["a", "b"]


@pytest.mark.parametrize(("value", "n"), [(0.0, 10), (0.5, 400), (1.0, 10)])
def test_an_interval_is_never_empty(value: float, n: int) -> None:
    assert 0 < half_width(value, n) < 0.5
