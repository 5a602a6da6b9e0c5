"""What a mix promises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import StreamError
from lakehouse.stream import Mix

weights = st.lists(st.floats(0.01, 100), min_size=1, max_size=5)


def test_weights_are_shares() -> None:
    assert dict(Mix(alt_text=1, long_positive=3)) == {"alt_text": 0.25, "long_positive": 0.75}


def test_a_column_without_weight_is_left_out() -> None:
    assert list(Mix(alt_text=1, long_positive=0)) == ["alt_text"]


def test_a_mix_is_read_from_json() -> None:
    assert Mix.parse('{"alt_text": 2}') == Mix(alt_text=1)


@pytest.mark.parametrize("text", ["{", "[1]", '{"a": "b"}', '{"a": -1}', '{"a": NaN}', '{"a": true}', '{"a": 0}'])
def test_what_is_no_mix_is_refused(text: str) -> None:
    with pytest.raises(StreamError, match=r"bad (mix|weight)"):
        Mix.parse(text)


def test_an_unknown_column_is_told_the_columns_there_are() -> None:
    with pytest.raises(
        StreamError, match="unknown text column 'alt' in a mix: expected one of alt_text, long_positive"
    ):
        Mix(alt=1).check(["alt_text", "long_positive"])


@given(weights, st.integers(0, 2**32), st.data())
def test_only_a_text_that_the_row_has_is_chosen(given_weights: list[float], seed: int, data: st.DataObject) -> None:
    mix = Mix({str(number): weight for number, weight in enumerate(given_weights)})
    present = np.random.default_rng(seed).random((40, len(mix))) < 0.5
    at = np.array(data.draw(st.lists(st.floats(0, 1, exclude_max=True), min_size=40, max_size=40)))
    chosen = mix.choose(present, at)
    assert all(present[row, column] if column >= 0 else not present[row].any() for row, column in enumerate(chosen))


def test_choices_come_in_the_proportion_of_the_weights() -> None:
    at = (np.arange(1000) + 0.5) / 1000
    chosen = Mix(a=0.2, b=0.5, c=0.3).choose(np.ones((1000, 3), np.bool_), at)
    assert np.bincount(chosen).tolist() == [200, 500, 300]


def test_the_share_of_a_missing_text_goes_to_the_others_in_proportion() -> None:
    at = (np.arange(1000) + 0.5) / 1000
    present = np.tile([True, False, True], (1000, 1))
    assert np.bincount(Mix(a=0.2, b=0.5, c=0.3).choose(present, at)).tolist() == [400, 0, 600]


def test_an_empty_mix_chooses_nothing() -> None:
    assert Mix().choose(np.empty((2, 0), np.bool_), np.zeros(2)).tolist() == [-1, -1]
