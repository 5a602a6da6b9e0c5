"""What is taken of long texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import StreamError
from lakehouse.stream.long_texts import DropLong, FirstSentences, SentenceSpan, Whole, parse_long_texts, sentences

TEXT = "A red kite. It flies high! Is it new? The sky is grey. No one is there."
DRAWS = st.floats(0, 1, exclude_max=True)


@given(st.integers(1, 8), DRAWS, DRAWS)
def test_a_span_is_a_run_of_neighbouring_sentences(most: int, first: float, second: float) -> None:
    part = SentenceSpan(most).part(TEXT, first, second)
    assert part in TEXT
    assert 1 <= len(sentences(part)) <= min(most, 5)


def test_every_run_can_be_drawn() -> None:
    grid = [place / 50 for place in range(50)]
    drawn = {SentenceSpan(2).part(TEXT, first, second) for first in grid for second in grid}
    said = sentences(TEXT)
    assert drawn == {*said, *(" ".join(said[at : at + 2]) for at in range(4))}


@given(st.text(), DRAWS, DRAWS)
def test_no_text_is_lost_whole(text: str, first: float, second: float) -> None:
    for policy in (SentenceSpan(3), FirstSentences(2)):
        assert bool(policy.part(text, first, second).strip()) == bool(text.strip())


def test_tokens_are_those_of_clip() -> None:
    is_allowed = DropLong(7).limit()
    assert is_allowed("a photo of a cat")
    assert not is_allowed("a photo of a black cat")


def test_tokens_may_be_counted_by_another() -> None:
    assert not DropLong(3, count=len).limit()("kite")


@pytest.mark.parametrize(
    ("text", "policy"),
    [("whole", Whole()), ("first:2", FirstSentences(2)), ("span:3", SentenceSpan(3)), ("drop:77", DropLong(77))],
)
def test_a_command_line_names_a_policy(text: str, policy: object) -> None:
    assert parse_long_texts(text) == policy


@pytest.mark.parametrize("text", ["", "first", "span:x", "cut:3", "drop:-1"])
def test_another_name_is_told_the_policies(text: str) -> None:
    with pytest.raises(StreamError, match=r"expected whole, first:2, span:3 or drop:77"):
        parse_long_texts(text)


def test_none_of_a_text_is_no_policy() -> None:
    with pytest.raises(StreamError, match=r"bad FirstSentences\(most=0\): expected a whole number from 1"):
        FirstSentences(0)
