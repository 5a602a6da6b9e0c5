"""Intervals cover what they should, and hold where a bootstrap would be sure of too much."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from udfs.clip.intervals import Interval, class_mean, difference, interval

SHARES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=40)


@settings(deadline=None)
@given(SHARES)
def test_an_interval_holds_its_value(outcomes: list[float]) -> None:
    found = interval(outcomes)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high, "some outcomes are never all there are"


@settings(deadline=None)
@given(SHARES, st.integers(0, 9), st.randoms(use_true_random=False))
def test_the_order_of_outcomes_changes_nothing(outcomes: list[float], images: int, shuffle: random.Random) -> None:
    rows = [(outcome, place % (images + 1)) for place, outcome in enumerate(outcomes)]
    mixed = list(rows)
    shuffle.shuffle(mixed)
    first, second = (interval([o for o, _ in some], images=[i for _, i in some]) for some in (rows, mixed))
    assert first == second


def test_of_independent_answers_it_is_wilsons() -> None:
    # 8 of 20 by Wilson 1927: (0.4 + 0.0960) / 1.1921 -+ 1.96 / 1.1921 * sqrt(0.24 / 20 + 0.0024)
    found = interval([1.0] * 8 + [0.0] * 12)
    assert found == pytest.approx((0.4, 0.2188, 0.6134), abs=1e-4)


def test_hits_alone_are_no_certainty() -> None:
    assert interval([1.0] * 20).low == pytest.approx(20 / (20 + 1.959964**2))
    assert interval([1.0] * 20, images=[0, 1] * 10).low == pytest.approx(2 / (2 + 1.959964**2)), "two images, not 20"


def test_captions_that_fall_together_count_once() -> None:
    hits = np.random.default_rng(0).integers(0, 2, 200).astype(float)
    once = interval(hits)
    copied = interval(np.repeat(hits, 5), images=np.repeat(np.arange(200), 5).tolist())
    assert copied == pytest.approx(once, rel=1e-9)
    assert copied.high - copied.low > 2 * (interval(np.repeat(hits, 5)).high - interval(np.repeat(hits, 5)).low)


@pytest.mark.parametrize(("share", "captions"), [(0.02, 1), (0.3, 1), (0.3, 5), (0.9, 5), (0.5, 3)])
def test_nineteen_of_twenty_intervals_hold_the_truth(share: float, captions: int) -> None:
    draws = np.random.default_rng(1)
    held = []
    for _ in range(300):
        # Of each image's captions as many hit, in the mean, as in all, but they hit together more often than not.
        images = draws.beta(2 * share, 2 * (1 - share), 150) if captions > 1 else np.full(150, share)
        hits = draws.random((150, captions)) < images[:, None]
        found = interval(hits.ravel(), images=np.repeat(np.arange(150), captions).tolist())
        held.append(found.low <= share <= found.high)
    assert np.mean(held) >= 0.92


def test_each_class_counts_the_same() -> None:
    found = class_mean([1, 1, 1, 1, 0, 0], list("aaaabb"))
    assert found.value == 0.5
    assert class_mean([1, 1, 1, 0], list("aaab"), images=list("wxyz")).value == 0.5


def test_the_interval_of_one_class_is_that_of_a_share() -> None:
    outcomes = [1.0, 0.0, 1.0, 1.0, 0.0]
    assert class_mean(outcomes, "c" * 5) == pytest.approx(interval(outcomes))


def test_a_paired_difference_is_surer_than_two_intervals() -> None:
    draws = np.random.default_rng(2)
    second = draws.integers(0, 2, 400).astype(float)
    first = np.where(draws.random(400) < 0.05, 1.0, second)
    found = difference(first, second)
    assert found.value == pytest.approx(first.mean() - second.mean())
    assert 0 < found.low < found.value < found.high
    assert interval(first).low < interval(second).high, "side by side they would overlap"


def test_the_same_seed_draws_the_same() -> None:
    outcomes = ([1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.0])
    assert difference(*outcomes, seed=3) == difference(*outcomes, seed=3)
    assert difference([0.5], [0.5]) == Interval(0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("outcomes", "problem"), [([], "at least one"), ([0.5, float("nan")], "finite"), ([0.0, 2.0], "expected 0 to 1")]
)
def test_outcomes_of_another_kind_are_refused(outcomes: list[float], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        interval(outcomes)


def test_an_image_for_every_outcome_is_expected() -> None:
    with pytest.raises(ValueError, match="1 images for 2 outcomes"):
        interval([0.0, 1.0], images=["a"])
