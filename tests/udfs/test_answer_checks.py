"""What is promised of the checks that every model's text goes through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.answer_checks import Rejected, check_prose, echo_in, loop_in, refusal_in
from udfs.prompts import prompt_names, read_prompt
from udfs.reasons import REASONS

KITE = "The image shows a red kite with a long tail over a beach, while two children in yellow coats run after it."


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I\u2019m sorry, I can\u2019t assist.",
        "I am unable to describe people in pictures.",
        "I cannot see the image.",
        "Unfortunately, I can't view images.",
        "Sorry, I could not process this picture.",
        "As an AI language model, I have no eyes.",
        "There is no image attached.",
        "No image was provided.",
        "Please provide the image that you want to have described.",
    ],
)
def test_a_refusal_is_seen(text: str) -> None:
    assert refusal_in(text)


@pytest.mark.parametrize(
    "text",
    [
        KITE,
        "A greeting card that says I'm sorry, with a duck on it.",
        "Sorry! is a board game for four players.",
        "I cannot live without you, a song sheet with hearts.",
        "There is no one on the beach.",
        "As an airplane lands, two people wave.",
        "No parking, says a red sign.",
        "I am a cat person, says a mug.",
    ],
)
def test_a_caption_is_no_refusal(text: str) -> None:
    assert refusal_in(text) is None


@pytest.mark.parametrize(
    ("text", "loop"),
    [
        ("A very very very very old car", "very"),
        ("A duck, a duck, a duck, a duck", "a duck"),
        ("A man in a red hat, in a red hat, in a red hat.", "in a red hat"),
        ("The sky. THE SKY! the sky; The Sky?", "the sky"),
        ("ha" * 30, "ha"),
        (
            "There is a man on the left. There is a man on the right. There is a dog on the left. "
            "There is a dog on the right. There is a cat on the left. There is a cat on the right.",
            "on the left there",
        ),
    ],
)
def test_a_loop_is_seen_with_what_it_repeats(text: str, loop: str) -> None:
    assert loop_in(text) == loop


@pytest.mark.parametrize(
    "text",
    [
        "",
        KITE,
        "A very, very, very old car",
        "New York, New York, a poster of 1977",
        "A black and white cat next to a black and white dog in front of a black and white photo of a cow.",
        "10000000000 marks, a bank note",
        "Two ducks on a lake, a swan on a lake and a boat on a lake",
    ],
)
def test_an_ordinary_repetition_is_no_loop(text: str) -> None:
    assert loop_in(text) is None


@pytest.mark.parametrize("name", prompt_names())
def test_no_caption_of_its_own_echoes_a_prompt(name: str) -> None:
    assert echo_in(KITE, read_prompt(name).text) is None


def test_an_example_of_the_prompt_is_an_echo() -> None:
    example = "The image shows a round white lighthouse on a cliff under a clear blue sky."
    assert echo_in(example, read_prompt("hqclip_teacher").text) == "the image shows a round white lighthouse on"


def test_without_a_prompt_nothing_is_an_echo() -> None:
    assert echo_in(KITE, "") is None


@given(st.lists(st.sampled_from(["a", "duck", "on", "the", "lake", "red"]), min_size=1, max_size=6), st.integers(4, 9))
def test_any_words_said_four_times_in_a_row_are_a_loop(unit: list[str], times: int) -> None:
    assert loop_in(" ".join(unit * times))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x" * 501, "text_too_long"),
        ("I cannot help with this request.", "refused"),
        ("kite " * 50, "repetition_loop"),
        ("Write four texts in English that say what the picture shows", "prompt_echo"),
    ],
)
def test_prose_is_refused_with_a_reason_from_the_list(text: str, reason: str) -> None:
    prompt = "You see a picture. Write four texts in English that say what the picture shows."
    with pytest.raises(Rejected) as found:
        check_prose("long_positive", text, max_chars=500, prompt=prompt)
    assert found.value.reason == reason
    assert reason in REASONS
    assert "long_positive" in found.value.detail
