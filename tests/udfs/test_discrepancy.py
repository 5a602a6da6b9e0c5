"""What is promised of the figures that compare texts with prompts."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import BadInput
from udfs.discrepancy import (
    Discrepancy,
    HashedNgrams,
    Sample,
    discrepancy,
    earth_movers_distance,
    mean_discrepancy,
    vocabulary_overlap,
)

PROMPTS = [f"a photo of a {animal} {place}" for animal in ("cat", "dog", "duck") for place in ("at home", "on a boat")]
ALT_TEXTS = ["IMG 1234", "SALE 50 % OFF shoes free shipping", "Q3 report", "logo", "DSC 0001", "Nike Air Max 90"]
RECAPTIONS = [f"a photo of a {animal} {place}" for animal in ("cat", "dog", "owl") for place in ("at home", "outside")]
_LENGTHS = st.lists(st.integers(0, 50), min_size=1, max_size=20)


def compared(texts: list[str], prompts: list[str]) -> Discrepancy:
    return discrepancy(Sample.of(texts, HashedNgrams()), Sample.of(prompts, HashedNgrams()))


def test_recaptions_are_nearer_to_prompts_than_alt_texts_in_every_figure() -> None:
    far, near = compared(ALT_TEXTS, PROMPTS), compared(RECAPTIONS, PROMPTS)
    assert near.length_distance < far.length_distance
    assert near.vocabulary_overlap > far.vocabulary_overlap
    assert near.covered_words > far.covered_words
    assert near.embedding_distance < far.embedding_distance


def test_texts_that_are_the_prompts_differ_in_nothing() -> None:
    same = compared(PROMPTS, PROMPTS)
    assert (same.length_distance, same.vocabulary_overlap, same.covered_words) == (0, 1, 1)
    assert same.embedding_distance <= 0


def test_the_mean_discrepancy_is_that_of_the_formula() -> None:
    ours, theirs = np.array([[0.0], [1.0]]), np.array([[2.0], [4.0]])
    # The width is the squared distance of the two prompts, 4; across, squared distances are 4, 16, 1 and 9.
    within, across = (math.exp(-1 / 4) + math.exp(-4 / 4)), [math.exp(-d / 4) for d in (4, 16, 1, 9)]
    assert mean_discrepancy(ours, theirs) == pytest.approx(within - 2 * sum(across) / 4)


def test_two_samples_of_one_kind_are_about_zero_apart() -> None:
    random = np.random.default_rng(0)
    ours, theirs, others = random.normal(size=(200, 8)), random.normal(size=(200, 8)), random.normal(1, size=(200, 8))
    assert abs(mean_discrepancy(ours, theirs)) < 0.01
    assert mean_discrepancy(ours, others) > 0.1


def test_vectors_that_are_all_alike_are_no_distance_apart() -> None:
    assert mean_discrepancy(np.ones((3, 2)), np.ones((2, 2))) == 0


@given(_LENGTHS, _LENGTHS)
def test_the_length_distance_is_symmetric(ours: list[int], theirs: list[int]) -> None:
    distance = earth_movers_distance(ours, theirs)
    assert distance == pytest.approx(earth_movers_distance(theirs, ours))
    assert distance >= abs(np.mean(ours) - np.mean(theirs)) - 1e-9


@given(_LENGTHS, st.integers(0, 9))
def test_lengths_that_are_all_shifted_are_that_far_apart(lengths: list[int], shift: int) -> None:
    assert earth_movers_distance(lengths, [length + shift for length in lengths]) == pytest.approx(shift)


def test_words_that_are_used_often_count_often_as_covered() -> None:
    assert vocabulary_overlap(Counter(["duck"]), Counter(["duck"] * 3 + ["swan"])) == (0.5, 0.75)


def test_no_words_have_no_overlap() -> None:
    empty = Sample.of(["...", "!"], HashedNgrams())
    assert vocabulary_overlap(empty.words, empty.words) == (0.0, 0.0)


def test_hashed_ngrams_are_the_same_in_every_process() -> None:
    vectors = HashedNgrams(places=16).embed(["a duck", "", "A DUCK!"])
    assert np.linalg.norm(vectors, axis=1).tolist() == pytest.approx([1, 0, 1])
    assert (vectors[0] == vectors[2]).all()
    assert np.flatnonzero(HashedNgrams(places=16).embed(["duck"])[0]).tolist() == [7]


def test_one_prompt_is_too_few_to_compare_with() -> None:
    with pytest.raises(BadInput, match="cannot compare 1 texts: expected two or more"):
        compared(PROMPTS, PROMPTS[:1])
