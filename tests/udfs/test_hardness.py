"""Hardness of negatives: distances that a count by hand agrees with."""

from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from udfs.hardness import edit_distance, jaccard
from udfs.words import words_of

_WORDS = st.lists(st.sampled_from("abcd"), max_size=8)


@given(_WORDS, _WORDS)
def test_the_edit_distance_is_levenshteins(one: list[str], other: list[str]) -> None:
    @cache
    def steps(left: int, right: int) -> int:
        if not left or not right:
            return left + right
        replaced = steps(left - 1, right - 1) + (one[left - 1] != other[right - 1])
        return min(steps(left - 1, right) + 1, steps(left, right - 1) + 1, replaced)

    longest = max(len(one), len(other))
    assert edit_distance(one, other) == (steps(len(one), len(other)) / longest if longest else 0)


@given(_WORDS, _WORDS)
def test_distances_do_not_depend_on_the_side(one: list[str], other: list[str]) -> None:
    assert edit_distance(one, other) == edit_distance(other, one)
    assert jaccard(one, other) == jaccard(other, one)


@given(_WORDS)
def test_a_text_is_no_distance_from_itself(words: list[str]) -> None:
    assert (edit_distance(words, words), jaccard(words, words)) == (0, 1)


def test_one_swapped_word_is_a_hard_negative() -> None:
    true, false = words_of("A red kite over the sea."), words_of("A blue kite over the sea.")
    assert edit_distance(true, false) == 1 / 6
    assert jaccard(true, false) == 5 / 7
