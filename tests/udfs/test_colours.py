"""Colours are called what people call them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.colours import EXAMPLES, NAMES, main_colours

WORDS = {
    "navy": ("#000080", "blue"),
    "olive": ("#808000", "green"),
    "maroon": ("#800000", "red"),
    "tan": ("#d2b48c", "beige"),
    "gold": ("#ffd700", "yellow"),
    "coral": ("#ff7f50", "orange"),
    "sky": ("#87ceeb", "blue"),
    "silver": ("#c0c0c0", "grey"),
    "crimson": ("#dc143c", "red"),
    "indigo": ("#4b0082", "purple"),
    "wood": ("#966f33", "brown"),
    "ink": ("#101018", "black"),
    "turquoise": ("#40e0d0", "teal"),
    "rose": ("#ff007f", "pink"),
    "forest": ("#228b22", "green"),
    "snow": ("#fffafa", "white"),
}


def block(code: str, count: int = 1) -> np.ndarray:
    return np.array([[int(code[place : place + 2], 16) for place in (1, 3, 5)]] * count, dtype=np.uint8)


@pytest.mark.parametrize("word", WORDS)
def test_a_known_shade_has_its_everyday_name(word: str) -> None:
    code, name = WORDS[word]
    assert main_colours(block(code)) == (name,)


def test_each_example_has_the_name_that_it_stands_for() -> None:
    found = {code: main_colours(block(code))[0] for codes in EXAMPLES.values() for code in codes}
    assert found == {code: name for name, codes in EXAMPLES.items() for code in codes}


def test_colours_come_most_frequent_first() -> None:
    pixels = np.concatenate([block("#0000ff", 20), block("#ff0000", 50), block("#ffffff", 30)])
    assert main_colours(pixels) == ("red", "white", "blue")


def test_a_trace_of_colour_is_left_out() -> None:
    assert main_colours(np.concatenate([block("#0000ff", 4), block("#ff0000", 96)])) == ("red",)


def test_no_pixels_have_no_colours() -> None:
    assert main_colours(np.empty((0, 3), dtype=np.uint8)) == ()


@given(st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=40))
def test_any_pixels_have_one_to_three_known_colours(pixels: list[tuple[int, int, int]]) -> None:
    names = main_colours(np.array(pixels, dtype=np.uint8))
    assert 1 <= len(names) <= 3
    assert set(names) <= set(NAMES)
    assert len(set(names)) == len(names)
