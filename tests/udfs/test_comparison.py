"""Two models side by side: figures worked out by hand, and statistics that keep what they promise."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.comparison import (
    MIN_PAIRS,
    Pair,
    bootstrap_interval,
    compare,
    digest_of,
    side_by_side,
    sign_test,
    winner,
)


def answer(number: int, **changes: object) -> dict[str, Any]:
    texts = {"long_positive": "A red kite flies.", "long_negative": "A boat."}
    tags = {"short_positive": ["kite", "red"], "short_negative": ["boat"]}
    cost = {"cost_usd": 0.5, "input_tokens": 100, "output_tokens": 20, "seconds": 2.0}
    made: dict[str, Any] = {
        "sample_id": f"{number}",
        "request_key": f"key {number}",
        "repairs": [],
        "reason": None,
        "similarity": None,
    }
    return {**made, **texts, **tags, **cost, **changes}


def rejected(number: int, reason: str) -> dict[str, Any]:
    nothing: dict[str, Any] = {"long_positive": None, "long_negative": None, "short_positive": [], "short_negative": []}
    return answer(number, reason=reason, **nothing)


def values_of(pairs: list[Pair], *, has_price: tuple[bool, bool] = (True, True)) -> dict[str, float]:
    return {one.metric: one.value for one in compare(pairs, has_price=has_price)}


def scored(*scores: tuple[float | None, float | None]) -> list[Pair]:
    return [(answer(at, similarity=one), answer(at, similarity=other)) for at, (one, other) in enumerate(scores)]


PAIRS: list[Pair] = [
    (answer(0), answer(0, long_positive="A kite.")),
    (answer(1, repairs=["trailing_comma", "upper_case"]), rejected(1, "not_json")),
    (answer(2, repairs=["upper_case"]), rejected(2, "not_json")),
    (rejected(3, "refused"), rejected(3, "refused")),
]


def test_verdicts_are_shares_of_all_answers() -> None:
    values = values_of(PAIRS)
    assert (values["samples"], values["first_accepted"], values["second_accepted"]) == (4, 0.75, 0.25)
    assert (values["first_repaired"], values["first_repaired_upper_case"]) == (0.5, 0.5)
    assert (values["first_repaired_trailing_comma"], values["second_repaired"]) == (0.25, 0)
    assert (values["second_rejected"], values["second_rejected_not_json"]) == (0.75, 0.5)
    assert (values["only_first_accepted"], values["only_second_accepted"]) == (2, 0)


def test_what_was_rejected_is_paid_with_what_was_accepted() -> None:
    values = values_of(PAIRS)
    assert values["first_usd_per_accepted"] == pytest.approx(4 * 0.5 / 3)
    assert (values["second_tokens_per_accepted"], values["second_seconds_per_accepted"]) == (480, 8)


def test_a_cost_that_is_not_known_is_no_figure() -> None:
    first, second = answer(0, input_tokens=None, output_tokens=None), answer(0)
    values = values_of([(first, second)], has_price=(True, False))
    assert "first_tokens_per_accepted" not in values
    assert "second_usd_per_accepted" not in values
    assert values["second_tokens_per_accepted"] == 120


def test_lengths_are_of_accepted_texts_alone() -> None:
    long = "kite " * 80
    values = values_of(
        [(answer(0), answer(0, long_positive=long)), (answer(1, long_positive="Two words"), rejected(1, "refused"))]
    )
    assert (values["first_words_long_positive_mean"], values["first_words_long_positive_std"]) == (3, 1)
    assert (values["second_words_long_positive_mean"], values["second_over_77_long_positive"]) == (80, 1)
    assert (values["first_over_77_long_positive"], values["first_words_short_positive_mean"]) == (0, 2)


def test_a_side_that_nothing_was_accepted_of_has_no_lengths() -> None:
    values = values_of([(answer(0), rejected(0, "refused"))])
    assert not [name for name in values if name.startswith(("second_words", "second_tokens", "second_usd"))]


def test_similarities_are_of_the_pairs_with_both_scores() -> None:
    values = values_of(scored((30, 20), (25, 25), (20, 22), (99, None), (None, 99), (math.nan, 1)))
    assert values["first_similarity_mean"] == 25
    assert values["second_similarity_mean"] == pytest.approx(67 / 3)
    assert values["similarity_gap_mean"] == pytest.approx(8 / 3)
    assert [values[f"similarity_{name}"] for name in ("wins", "ties", "losses")] == [1, 1, 1]
    assert values["similarity_gap_low"] == -2
    assert values["similarity_gap_high"] == 10
    assert values["similarity_sign_p"] == 1


def test_without_scores_there_are_no_similarities() -> None:
    assert not [name for name in values_of(PAIRS) if "similarity" in name]


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_an_interval_is_the_same_in_any_order(values: list[float], random: Any) -> None:
    shuffled = random.sample(values, len(values))
    low, high = bootstrap_interval(values)
    assert bootstrap_interval(shuffled) == (low, high)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9


def test_an_interval_is_about_as_wide_as_theory_has_it() -> None:
    values = np.random.default_rng(1).normal(3, 2, 400)
    low, high = bootstrap_interval(list(values))
    mean, error = float(values.mean()), float(values.std()) / 20
    assert low == pytest.approx(mean - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(mean + 1.96 * error, abs=0.15 * error)


def test_the_sign_test_is_that_of_the_tables() -> None:
    assert sign_test(8, 2) == pytest.approx(2 * (1 + 10 + 45) / 1024)
    assert sign_test(2, 8) == sign_test(8, 2)


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_sign_test_is_exact(wins: int, losses: int) -> None:
    n = wins + losses
    tail = Fraction(sum(math.comb(n, k) for k in range(min(wins, losses) + 1)), 2**n)
    assert sign_test(wins, losses) == pytest.approx(min(1.0, float(2 * tail)), rel=1e-6, abs=1e-11)


def test_the_side_that_fits_clearly_better_wins() -> None:
    better = [(30.0 + at % 3, 20.0) for at in range(MIN_PAIRS)]
    assert winner(values_of(scored(*better))) == "first"
    assert winner(values_of(scored(*((low, high) for high, low in better)))) == "second"


def test_an_unclear_difference_has_no_winner() -> None:
    assert winner(values_of(scored(*((20.0 + at % 2, 20.5) for at in range(40))))) is None


def test_a_few_pairs_have_no_winner() -> None:
    assert winner(values_of(scored(*[(30.0, 20.0)] * (MIN_PAIRS - 1)))) is None
    assert winner(values_of(PAIRS)) is None


def test_other_answers_or_another_scorer_are_another_comparison() -> None:
    digest = digest_of(PAIRS, "")
    assert digest_of(PAIRS[::-1], "") == digest
    assert digest_of([(second, first) for first, second in PAIRS], "") == digest, "one key on both sides here"
    assert digest_of(PAIRS, "clip://x@1") != digest
    other = [(answer(0, request_key="other"), PAIRS[0][1]), *PAIRS[1:]]
    assert digest_of(other, "") != digest


def test_a_row_holds_both_answers() -> None:
    row = side_by_side(PAIRS[0])
    assert (row["sample_id"], row["first_long_positive"], row["second_long_positive"]) == (
        "0",
        "A red kite flies.",
        "A kite.",
    )
    assert (row["first_tokens"], row["word_distance"]) == (7, 0.5)


def test_a_rejected_answer_leaves_no_texts() -> None:
    row = side_by_side(PAIRS[1])
    assert (row["second_reason"], row["second_long_positive"], row["second_short_positive"]) == ("not_json", None, None)
    assert (row["second_tokens"], row["word_distance"]) == (None, None)
