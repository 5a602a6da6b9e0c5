"""Differences between arms are paired by row, and are called clear only where rows and seeds agree."""

import numpy as np
import pytest

from benchmarks.stream.seeds import Floats, compared, half_width, summed_up

IMAGES = [str(number) for number in range(200)]


def outcomes(share: float, *, seeds: int = 3, seed: int = 0) -> Floats:
    draws = np.random.default_rng(seed)
    return (draws.random((seeds, len(IMAGES))) < share).astype(np.float64)


def test_an_arm_against_itself_is_nothing() -> None:
    one = outcomes(0.5)
    found = compared(one, one, images=IMAGES)
    assert (found["value"], found["low"], found["high"]) == (0, 0, 0)
    assert not found["is_clear"]


def test_a_gain_on_most_rows_by_every_seed_is_clear() -> None:
    worse = outcomes(0.3)
    better = np.maximum(worse, outcomes(0.3, seed=1))
    found = compared(better, worse, images=IMAGES)
    assert found["is_clear"]
    assert 0 < found["low"] < found["value"] < found["high"]
    assert compared(worse, better, images=IMAGES)["value"] == -found["value"]


def test_a_gain_by_one_seed_alone_is_not_clear() -> None:
    worse = np.zeros((3, len(IMAGES)))
    better = worse.copy()
    better[0] = 1
    found = compared(better, worse, images=IMAGES)
    assert found["low"] > 0
    assert found["by_seed"] == [1, 0, 0]
    assert not found["is_clear"]


def test_one_seed_alone_makes_nothing_clear() -> None:
    found = compared(outcomes(0.9, seeds=1), outcomes(0.1, seeds=1), images=IMAGES)
    assert found["half_width_over_seeds"] is None
    assert not found["is_clear"]


def test_the_spread_over_seeds_is_students() -> None:
    # scipy.stats.t.interval(0.95, df=2, loc=2, scale=3 ** -0.5)
    assert half_width(np.array([1.0, 2.0, 3.0])) == pytest.approx(2.4841, abs=1e-3)


def test_each_seed_is_told_of() -> None:
    found = summed_up(np.array([[1.0, 0.0], [1.0, 1.0]]), images=["a", "b"])
    assert found["by_seed"] == [0.5, 1.0]
    assert found["low"] < found["value"] == 0.75 < found["high"]
