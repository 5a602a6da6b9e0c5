"""The blind test sees what is planted, and nothing where nothing is."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from udfs.blind_test import MIN_SAMPLES, BlindTest, auc_of, blind_test, told_apart

WORDS = tuple(
    f"{start}{end}" for start in ("ka", "bo", "ti", "su", "re") for end in ("lo", "ma", "ni", "pu", "ze", "vi")
)


def texts(count: int, rng: random.Random) -> list[str]:
    return [" ".join(rng.choices(WORDS, k=12)) for _ in range(count)]


def ids(count: int) -> list[str]:
    return [f"sample {at}" for at in range(count)]


def outcome_of(positives: list[str], negatives: list[str]) -> BlindTest:
    found = blind_test(positives, negatives, ids(len(positives)))
    assert found is not None
    return found


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6))
def test_texts_of_one_kind_cannot_be_told_apart(seed: int) -> None:
    rng = random.Random(seed)
    found = outcome_of(texts(600, rng), texts(600, rng))
    assert abs(found.auc - 0.5) < 3 * found.half_width
    assert found.half_width < 0.05
    assert found.giveaways == ()


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["not", "!", "however"]))
def test_a_planted_word_is_named_first(seed: int, planted: str) -> None:
    rng = random.Random(seed)
    positives, negatives = texts(300, rng), texts(300, rng)
    found = outcome_of(positives, [_with(text, planted, rng) for text in negatives])
    assert found.auc > 0.99
    assert found.paired > 0.99
    first = found.giveaways[0]
    assert (first.phrase, first.positives, first.negatives) == (planted, 0, 300)


def _with(text: str, planted: str, rng: random.Random) -> str:
    words = text.split()
    words.insert(rng.randrange(len(words)), planted)
    return " ".join(words)


def test_a_word_of_true_texts_gives_them_away_too() -> None:
    rng = random.Random(5)
    found = outcome_of([_with(text, "truly", rng) for text in texts(300, rng)], texts(300, rng))
    assert found.auc > 0.99
    assert (found.giveaways[0].phrase, found.giveaways[0].positives) == ("truly", 300)
    assert found.giveaways[0].weight < 0


def test_a_word_in_a_fifth_of_false_texts_tells_that_fifth() -> None:
    rng = random.Random(6)
    negatives = [_with(text, "no", rng) if at % 5 == 0 else text for at, text in enumerate(texts(1000, rng))]
    found = outcome_of(texts(1000, rng), negatives)
    assert found.auc == pytest.approx(0.6, abs=0.05)
    assert [one.phrase for one in found.giveaways][:1] == ["no"]


def test_two_words_that_only_together_tell_are_named_together() -> None:
    rng = random.Random(7)
    positives = [f"{text} kite red" for text in texts(300, rng)]
    found = outcome_of(positives, [f"{text} red kite" for text in texts(300, rng)])
    assert {one.phrase for one in found.giveaways[:2]} == {"kite red", "red kite"}


def test_the_order_of_samples_changes_nothing() -> None:
    rng = random.Random(8)
    rows = list(zip(texts(200, rng), texts(200, rng), ids(200), strict=True))
    once = blind_test(*map(list, zip(*rows, strict=True)))
    rng.shuffle(rows)
    assert blind_test(*map(list, zip(*rows, strict=True))) == once


def test_equal_texts_are_a_tie() -> None:
    same = texts(100, random.Random(9))
    found = outcome_of(same, same)
    assert (found.auc, found.paired, found.half_width) == (0.5, 0.5, 0.0)


def test_too_few_samples_tell_nothing() -> None:
    few = texts(MIN_SAMPLES - 1, random.Random(1))
    assert blind_test(few, few, ids(len(few))) is None


def test_texts_without_a_shared_word_are_no_error() -> None:
    lone = [f"word{at}" for at in range(MIN_SAMPLES)]
    assert outcome_of(lone, [f"other{at}" for at in range(MIN_SAMPLES)]).auc == 0.5


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=20), st.lists(st.integers(-5, 5), min_size=1, max_size=20))
def test_the_area_is_the_share_of_pairs_in_order(positives: list[int], negatives: list[int]) -> None:
    pairs = [(true < false) + 0.5 * (true == false) for true in positives for false in negatives]
    assert auc_of(positives, negatives) == pytest.approx(sum(pairs) / len(pairs))


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10**6))
def test_outcomes_pair_by_pair_come_to_the_paired_share(seed: int) -> None:
    rng = random.Random(seed)
    positives, negatives = texts(80, rng), [f"{text} gold" for text in texts(80, rng)]
    told = told_apart(positives, negatives, ids(80))
    assert told is not None
    assert sum(told) / 80 == pytest.approx(outcome_of(positives, negatives).paired)


def test_outcomes_are_in_the_order_of_the_pairs() -> None:
    rng = random.Random(2)
    negatives = [text if at % 3 else f"{text} gold" for at, text in enumerate(texts(300, rng))]
    positives = [text.removesuffix(" gold") for text in negatives]
    told = told_apart(positives, negatives, ids(300))
    assert told == [0.5 if at % 3 else 1.0 for at in range(300)]


def test_a_judge_has_seen_no_other_pair_of_the_same_image() -> None:
    """Each image has a true and a false word of its own: whoever saw one of its pairs would know the others."""
    rng = random.Random(3)
    images = [f"image {at // 4}" for at in range(200)]
    scenes = texts(200, rng)
    positives, negatives = (
        [f"{text}, {word}{at // 4}" for at, text in enumerate(scenes)] for word in ("true", "false")
    )
    together, apart = told_apart(positives, negatives, images), told_apart(positives, negatives, ids(200))
    assert sum(together or ()) < 0.65 * 200
    assert sum(apart or ()) > 0.9 * 200
    assert told_apart(positives[:39], negatives[:39], images[:39]) is None
