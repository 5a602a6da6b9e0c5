"""What is promised of reading RECAP's captions."""

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from udfs.alt_text import only_visible
from udfs.answer_checks import MAX_ANSWER_CHARS, single_spaced
from udfs.reasons import REASONS
from udfs.recaptions import CAPTION_SCHEMA, LONG, SHORT, parse_caption, parse_captions

DUCK = "A duck on a lake."
_PIECES = st.sampled_from(['"', "“", "”", "Caption:", "Sure! Here it is:", "```", "\n", " ", DUCK, "a", "{", "- ", "'"])


def test_a_plain_answer_needs_no_repair() -> None:
    caption = parse_caption(DUCK, SHORT)
    assert (caption.text, caption.repairs, caption.reason, caption.detail) == (DUCK, (), None, None)


@pytest.mark.parametrize(
    ("answer", "repairs"),
    [
        (f" {DUCK}\n", ()),
        (f"```\n{DUCK}\n```", ("removed_fence",)),
        (f"```text\n{DUCK}```", ("removed_fence",)),
        (f'"{DUCK}"', ("removed_quotes",)),
        (f"“{DUCK}”", ("removed_quotes",)),
        (f"Caption: {DUCK}", ("removed_label",)),
        (f"**Caption:** {DUCK}", ("removed_label",)),
        (f"Short caption: {DUCK}", ("removed_label",)),
        (f"The one-sentence description: {DUCK}", ("removed_label",)),
        (f"Alt text: {DUCK}", ("removed_label",)),
        (f"Here's a short caption for the picture:\n\n{DUCK}", ("removed_label",)),
        (f'Sure! Here is the caption:\n"{DUCK}"', ("removed_label", "removed_quotes")),
        (f'"Caption: {DUCK}"', ("removed_label", "removed_quotes")),
        ("A duck\n on a  lake.", ("white_space",)),
        ("A du\u200bck on a lake.", ("removed_invisible",)),
    ],
)
def test_what_stands_around_a_caption_is_taken_off_on_record(answer: str, repairs: tuple[str, ...]) -> None:
    caption = parse_caption(answer, SHORT)
    assert (caption.text, caption.reason) == (DUCK, None)
    assert sorted(caption.repairs) == sorted(repairs)


@pytest.mark.parametrize(
    "answer",
    [
        '"Stop" says a sign next to one that says "Go"',
        "A movie poster with the caption 'Duck'",
        "A duck at 10:30 on a lake.",
        "The lake: a duck, two swans.",
        "2 ducks on a lake.",
        "A poster with the caption: Stop",
        "A duck, and here is the lake: blue.",
        "'Tis a duck.",
    ],
)
def test_what_belongs_to_a_caption_stays(answer: str) -> None:
    assert (parse_caption(answer, SHORT).text, parse_caption(answer, SHORT).repairs) == (answer, ())


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "empty_answer"),
        (" \u200b\n", "empty_answer"),
        ('""', "empty_answer"),
        ("Caption:", "empty_answer"),
        ("...", "empty_answer"),
        ("I'm sorry, I can't describe this picture.", "refused"),
        ('{"caption": "A duck."}', "not_prose"),
        ("- a duck\n- a lake", "not_prose"),
        ("1. A duck.\n2. A swan.", "not_prose"),
        ("| duck | lake |", "not_prose"),
        ("A duck. " * 3 + "A duck on a lake.", "repetition_loop"),
        ("A duck of https://ducks.example", "unsafe_text"),
        ("A duck, says me@ducks.example", "unsafe_text"),
        ("A <b>duck</b>", "unsafe_text"),
        ("</data-0123456789abcdef> A duck", "unsafe_text"),
        ("duck " + "x" * 300, "text_too_long"),
        ("x" * MAX_ANSWER_CHARS, "text_too_long"),
    ],
)
def test_an_answer_without_a_caption_is_rejected_with_its_reason(answer: str | None, reason: str) -> None:
    caption = parse_caption(answer, SHORT)
    assert (caption.text, caption.reason) == (None, reason)
    assert reason in REASONS
    assert caption.detail


def test_a_long_caption_may_be_longer() -> None:
    text = "A duck on a lake " + "with " + ", ".join(f"thing{number}" for number in range(60))
    assert parse_caption(text, SHORT).reason == "text_too_long"
    assert parse_caption(text, LONG).text == text


def test_an_answer_that_repeats_its_prompt_is_rejected() -> None:
    prompt = "Write a caption of one sentence that says what the picture mainly shows."
    assert parse_caption(prompt, SHORT, prompt=prompt).reason == "prompt_echo"


def test_captions_come_in_the_order_of_answers() -> None:
    batch = parse_captions(
        pa.array([SHORT, LONG, SHORT]),
        pa.array([DUCK, None, DUCK + " Say what you see in one short sentence now."]),
        {SHORT: "Say what you see in one short sentence now, please."},
    )
    assert batch.schema == CAPTION_SCHEMA
    assert batch["text"].to_pylist() == [DUCK, None, None]
    assert batch["reason"].to_pylist() == [None, "empty_answer", "prompt_echo"]


def test_an_answer_that_is_not_utf8_does_not_fail_its_batch() -> None:
    raw = pa.array([DUCK.encode(), b"\xff\xfe"])
    answers = pa.Array.from_buffers(pa.string(), 2, raw.buffers())
    assert parse_captions(pa.array([SHORT, SHORT]), answers)["reason"].to_pylist() == [None, "empty_answer"]


@settings(deadline=None)
@given(st.none() | st.text() | st.lists(_PIECES, max_size=12).map("".join))
@example("'\"A duck\"'")
def test_a_caption_that_was_read_reads_the_same_again(answer: str | None) -> None:
    caption = parse_caption(answer, LONG)
    if caption.reason is None:
        assert caption.text
        assert caption.text == single_spaced(only_visible(caption.text))
        again = parse_caption(caption.text, LONG)
        assert (again.text, again.repairs) == (caption.text, ())
    else:
        assert (caption.text, caption.reason in REASONS) == (None, True)
