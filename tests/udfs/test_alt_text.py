"""What is promised of alt-texts."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.alt_text import clean_for_prompt, only_visible


@pytest.mark.parametrize(
    "hidden", ["\0", "\x1b", "\u200b", "\u202e", "\u2066", "\ufeff", "\ud800", "\ufe0f", "\U000e0041", "\u3164"]
)
def test_a_character_that_nobody_sees_is_removed(hidden: str) -> None:
    assert only_visible(f"re{hidden}d") == "red"


def test_letters_of_any_script_stay() -> None:
    assert only_visible("Żółw, 亀, черепаха, 🐢") == "Żółw, 亀, черепаха, 🐢"


@given(st.text(), st.integers(1, 50))
def test_a_text_for_a_prompt_is_one_short_line_without_a_fence(text: str, max_chars: int) -> None:
    cleaned = clean_for_prompt(text, max_chars=max_chars)
    assert len(cleaned) <= max_chars
    assert len(cleaned.splitlines()) <= 1
    assert "```" not in cleaned
    assert not any(unicodedata.category(character) in {"Cc", "Cf", "Cs"} for character in cleaned)


@given(st.text(max_size=200))
def test_cleaning_twice_changes_nothing(text: str) -> None:
    assert clean_for_prompt(clean_for_prompt(text)) == clean_for_prompt(text)
