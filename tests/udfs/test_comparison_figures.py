"""A comparison as people read it: both sides in one line, and the verdict in words."""

from tests.udfs.test_comparison import PAIRS, scored, values_of
from udfs.comparison_figures import figures_of, lines_of, sentences_of


def shown(values: dict[str, float]) -> dict[str, tuple[str, str]]:
    return {one.name: (one.first, one.second) for one in figures_of(values)}


def test_both_sides_stand_in_one_line() -> None:
    figures = shown(values_of(PAIRS))
    assert figures["Accepted"] == ("75.0 %", "25.0 %")
    assert figures["US dollars an accepted answer"] == ("0.67", "2.00")


def test_a_reason_that_one_side_has_is_none_of_the_other() -> None:
    figures = shown(values_of(PAIRS))
    assert figures["Rejected: not json"] == ("0.0 %", "50.0 %")
    assert list(figures).index("Rejected: not json") < list(figures).index("Rejected: refused")
    assert figures["Accepted after a repair: trailing comma"] == ("25.0 %", "0.0 %")


def test_what_one_side_has_nothing_of_is_a_dash() -> None:
    values = values_of([(PAIRS[0][0], PAIRS[3][1])])
    assert shown(values)["Words of the long positive"] == ("4.0", "—")


def test_texts_that_were_not_scored_are_said_to_be() -> None:
    assert sentences_of(values_of(PAIRS)) == [
        "Of 4 samples the first alone was accepted on 2, the second on 0.",
        "No text was compared with its image.",
    ]


def test_the_verdict_says_by_how_much() -> None:
    _, difference, verdict = sentences_of(values_of(scored(*[(20.0, 30.5)] * 20)))
    assert difference.startswith(
        "Similarity, first less second: -10.50 in the mean, 95 % interval -10.50 to -10.50; the first fits its image "
        "better 0 times, as well 0 times, worse 20 times (sign test: p = 1.9e-06)"
    )
    assert verdict == "The second's long positives fit better: the interval excludes 0."


def test_a_difference_that_is_not_clear_is_said_to_be_none() -> None:
    assert sentences_of(values_of(scored((20, 21), (21, 20))))[-1].startswith("Neither fits clearly better")


def test_plain_text_says_who_is_who() -> None:
    lines = lines_of(values_of(PAIRS), ["rules://", "fake://echo"])
    assert lines[:2] == ["first: rules://", "second: fake://echo"]
    assert lines[3].split() == ["Accepted", "75.0", "%", "25.0", "%"]
