"""The funnel's counts add up, or the page says by how much they do not."""

from hypothesis import given
from hypothesis import strategies as st

from tests.udfs.report.reports import FUNNEL, full, report_of
from udfs.report.overview import Funnel, funnel_of, funnel_section, rejects_section, summary


def test_the_stages_go_from_the_sources_to_the_release() -> None:
    funnel = funnel_of(full("a kite"))
    assert funnel is not None
    assert [(stage.name, stage.pairs) for stage in funnel.stages] == [
        ("Read from the sources", 1100),
        ("In bronze", 1000),
        ("Through the filter", 900),
        ("Selected", 600),
        ("Described", 600),
        ("Published", 590),
        ("Released", 590),
    ]


def test_counts_that_add_up_are_said_to() -> None:
    content = funnel_section(report_of({"funnel": [FUNNEL]})).content
    assert "adds up: </span>1,100 read = 600 selected + 500 rejected" in content


def test_pairs_that_wait_for_judgement_are_counted() -> None:
    content = funnel_section(report_of({"funnel": [FUNNEL | {"selected": 590}]})).content
    assert "in progress: </span>1,100 read = 590 selected + 500 rejected + 10 not judged yet" in content


def test_more_out_than_in_is_called_wrong() -> None:
    content = funnel_section(report_of({"funnel": [FUNNEL | {"selected": 602}]})).content
    assert "does not add up: </span>" in content
    assert "2 more came out than went in" in content


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
def test_read_is_selected_rejected_or_unaccounted(at_ingest: int, selected: int, rejected: int, waiting: int) -> None:
    funnel = Funnel(at_ingest, selected + rejected + waiting, 0, selected, rejected, 0, 0)
    assert funnel.read == funnel.selected + funnel.rejected + waiting
    assert funnel.unaccounted == waiting


def test_a_reason_stands_with_its_meaning() -> None:
    report = report_of({"rejects": [{"stage": "select_pairs/default", "reason": "too_small", "n": 1234}]})
    content = rejects_section(report).content
    assert "1,234" in content
    assert "the shorter side has too few pixels" in content


def test_the_tiles_have_thousands_separators() -> None:
    assert "<b>1,100</b><span>pairs read</span>" in summary(report_of({"funnel": [FUNNEL]}))
