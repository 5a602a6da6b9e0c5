"""Words and phrases: each once, marks kept apart."""

from hypothesis import given
from hypothesis import strategies as st

from udfs.words import phrases_of, words_of


@given(st.text(max_size=80))
def test_a_phrase_stands_once(text: str) -> None:
    phrases = phrases_of(text)
    assert len(phrases) == len(set(phrases))
    assert set(words_of(text)) <= set(phrases)


def test_a_pair_of_words_does_not_reach_over_a_mark() -> None:
    assert "cat dog" not in phrases_of("a cat. Dog")
    assert "cat dog" in phrases_of("a cat dog")


def test_case_makes_no_other_word() -> None:
    assert words_of("The the THE") == ["the"] * 3
