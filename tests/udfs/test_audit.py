"""Figures of an audit: whole rows alone count, and counts behind a figure add up to it."""

import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.audit import KINDS, Findings, audit_ratings, audit_similarity, audit_texts, digest_of

_SCORE = st.one_of(st.none(), st.floats(-100, 100), st.just(math.nan))


def row_of(number: int, **changes: object) -> dict[str, Any]:
    texts = {"long_positive": "A red kite flies.", "long_negative": "A blue kite flies."}
    tags = {"short_positive": ["kite", "red"], "short_negative": ["boat", "blue", "sea"]}
    made = {"sample_id": f"{number}", "request_key": f"key {number}", "image_policy": "jpeg-crop-256"}
    return {**made, **texts, **tags, **changes}


def values_of(found: Findings) -> dict[str, float]:
    return {one.metric: one.value for one in found.metrics}


def test_texts_are_measured_in_both_lengths() -> None:
    values = values_of(audit_texts([row_of(at) for at in range(50)]))
    assert values["jaccard_long_mean"] == pytest.approx(3 / 5)
    assert values["edit_distance_long_mean"] == pytest.approx(1 / 4)
    assert values["length_difference_long_mean"] == 0
    assert values["length_difference_short_mean"] == 1
    assert values["length_auc_short"] == 1
    assert values["blind_auc_long"] == values["blind_paired_short"] == 1


def test_a_row_without_a_negative_is_left_out_of_its_figures() -> None:
    rows = [row_of(at) for at in range(50)] + [row_of(50, short_negative=[], long_negative=" ")]
    found = audit_texts(rows)
    assert {one.n for one in found.metrics if one.metric != "rows"} == {50}
    assert values_of(found)["rows"] == 51


def test_a_handful_of_rows_has_no_blind_test() -> None:
    values = values_of(audit_texts([row_of(at) for at in range(3)]))
    assert "jaccard_long_mean" in values
    assert not [name for name in values if name.startswith("blind")]


def test_no_rows_give_no_figures_but_their_number() -> None:
    assert values_of(audit_texts([])) == {"rows": 0}


def test_giveaways_are_counted_on_both_sides() -> None:
    rows = [row_of(at, long_negative="A kite, not red.") for at in range(60)]
    found = {(one.label, one.part): one.n for one in audit_texts(rows).tallies if one.figure == "giveaway_long"}
    assert found[("not", "negative")] == 60
    assert found[("not", "positive")] == 0


@given(st.lists(st.fixed_dictionaries(dict.fromkeys(KINDS, _SCORE)), max_size=30))
def test_a_histogram_holds_every_score_once(scores: list[dict[str, float | None]]) -> None:
    found = audit_similarity(scores, rows=30)
    counts: Counter[str] = Counter()
    for one in found.tallies:
        counts[one.part] += one.n
    for kind in KINDS:
        real = [score[kind] for score in scores if score[kind] is not None and math.isfinite(score[kind] or 0)]
        assert counts[kind] == len(real)
    assert len({one.place for one in found.tallies}) <= 40


def test_the_gap_is_between_the_texts_of_one_pair() -> None:
    scores = [dict.fromkeys(KINDS, 20.0) | {"long_positive": 30.0 + at, "long_negative": 20.0 + at} for at in range(4)]
    values = values_of(audit_similarity(scores, rows=8))
    assert values["similarity_gap_long_mean"] == 10
    assert values["similarity_gap_long_std"] == 0
    assert (values["similarity_above_long"], values["similarity_above_short"]) == (1, 0.5)
    assert values["similarity_coverage"] == 0.5


def test_ratings_are_summed_up_by_kind() -> None:
    ratings = [{"alt_text": 6.0, "long_positive": 8.0 + at, "long_negative": None} for at in range(2)]
    found = audit_ratings(ratings, rows=4)
    values = values_of(found)
    assert (values["rating_long_positive_mean"], values["rating_long_positive_std"]) == (8.5, 0.5)
    assert values["rating_coverage"] == 4 / 12
    assert "rating_long_negative_mean" not in values
    assert {(one.label, one.part) for one in found.tallies if one.n} == {
        ("6", "alt_text"),
        ("8", "long_positive"),
        ("9", "long_positive"),
    }


def test_other_answers_make_another_audit() -> None:
    rows = [row_of(at) for at in range(3)]
    assert digest_of(rows) == digest_of(rows[::-1])
    assert digest_of(rows) != digest_of([*rows[:2], row_of(2, request_key="other")])
    assert digest_of(rows) != digest_of([*rows[:2], row_of(2, image_policy="jpeg-pad-72")])
