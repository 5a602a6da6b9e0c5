"""What is promised of reading a model's answer."""

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from udfs.answer_checks import MAX_ANSWER_CHARS
from udfs.descriptions import TEXTS_SCHEMA, parse_answer, parse_answers
from udfs.reasons import REASONS
from udfs.tags import normal_tag

GOOD: dict[str, Any] = {
    "long_positive": "The image shows a red kite over a beach.",
    "short_positive": ["kite", "beach"],
    "long_negative": "The image shows a blue kite over a forest.",
    "short_negative": ["forest", "tree"],
}
TEXT = json.dumps(GOOD)
_ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.sampled_from(list(GOOD)), values),
    max_leaves=12,
)
_MUTATED = st.builds(
    lambda at, length, junk: TEXT[:at] + junk + TEXT[at + length :],
    st.integers(0, len(TEXT)),
    st.integers(0, 20),
    st.text(alphabet='{}[]",:\\ab\0\n`', max_size=5),
)


def _with(**fields: object) -> str:
    return json.dumps(GOOD | fields)


def test_a_strict_answer_needs_no_repair() -> None:
    texts = parse_answer(TEXT)
    assert (texts.long_positive, texts.long_negative) == (GOOD["long_positive"], GOOD["long_negative"])
    assert (texts.short_positive, texts.short_negative) == (("kite", "beach"), ("forest", "tree"))
    assert (texts.repairs, texts.reason, texts.detail) == ((), None, None)


@pytest.mark.parametrize(
    ("answer", "repairs"),
    [
        (f"```json\n{TEXT}\n```", ("removed_fence",)),
        (f"Sure! Here is the JSON:\n{TEXT}\nI hope this helps.", ("removed_prose",)),
        (f"Sure!\n```json\n{TEXT}\n```\nDone.", ("removed_prose",)),
        (f"{TEXT}\n\n{TEXT}", ("removed_prose",)),
        (f'{{"answer": {TEXT}}}', ("removed_prose",)),
        (TEXT.replace('"tree"]', '"tree",]'), ("trailing_comma",)),
        (TEXT[:-1] + ",}", ("trailing_comma",)),
        (TEXT.replace('"tree"]', '"tree""]'), ("dangling_quote",)),
        (TEXT.replace('"tree"]', '"tree\\""]'), ("dangling_quote",)),
        (TEXT.replace("over a forest", "over\na forest"), ("control_characters",)),
        (TEXT.replace("a forest", "a\\n forest"), ("white_space",)),
        (_with(short_positive="kite, beach"), ("split_tags", "white_space")),
        (_with(short_positive=["kite", "Kite", "beach"]), ("upper_case", "duplicate_tags")),
        (_with(short_positive=["kite", " beach"]), ("white_space",)),
        (_with(short_positive=["kite", "beach", "x" * 61]), ("dropped_tags",)),
        (_with(short_positive=["kite!", "beach"]), ("normal_form",)),
        (_with(short_positive=["ki\u200bte", "beach"]), ("removed_invisible",)),
        (TEXT.replace("red kite", "red\\ud800\\u0000\\u202e kite"), ("removed_invisible",)),
    ],
)
def test_a_broken_answer_is_mended_on_record(answer: str, repairs: tuple[str, ...]) -> None:
    texts = parse_answer(answer)
    assert texts.reason is None
    assert texts.repairs == repairs
    assert (texts.long_positive, texts.long_negative) == (GOOD["long_positive"], GOOD["long_negative"])
    assert (texts.short_positive, texts.short_negative) == (("kite", "beach"), ("forest", "tree"))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "empty_answer"),
        ("  \u200b\n", "empty_answer"),
        ("I cannot help with that.", "not_json"),
        ("<!DOCTYPE html><html></html>", "not_json"),
        (TEXT[:-20], "not_json"),
        ("[1, 2]", "not_json"),
        ("NaN", "not_json"),
        (TEXT + TEXT.replace("red", "green"), "not_json"),
        ('{"long_positive": "a", ' + TEXT[1:], "not_json"),
        ('{"a":' * 10_000, "not_json"),
        ("[" * 50_000, "not_json"),
        ("{" * 50_000, "not_json"),
        ('"\\' * 30_000, "not_json"),
        ('{"long_positive": ' + "9" * 20_000 + "}", "missing_field"),
        ('{"long_positive": "A kite."}', "missing_field"),
        (_with(long_positive=None), "missing_field"),
        (_with(long_positive=""), "missing_field"),
        (_with(long_positive="..."), "missing_field"),
        (_with(long_positive=["a"]), "missing_field"),
        (_with(long_positive=float("nan")), "missing_field"),
        (_with(long_negative=GOOD["long_positive"]), "missing_field"),
        (_with(short_positive=[]), "missing_field"),
        (_with(short_positive=[" ", "x" * 100]), "missing_field"),
        (_with(short_positive=["kite", 3]), "missing_field"),
        (_with(short_positive={"kite": 1}), "missing_field"),
        (_with(short_negative=["KITE"]), "contradicting_tags"),
        (_with(long_positive="kite " * 400), "text_too_long"),
        (_with(short_positive=["kite"] * 60), "text_too_long"),
        ("x" * MAX_ANSWER_CHARS, "text_too_long"),
        ('{"long_positive": "' + "x" * 10_000_000, "text_too_long"),
        (_with(long_positive="A kite, see https://kites.example"), "unsafe_text"),
        (_with(long_positive="A <b>red</b> kite"), "unsafe_text"),
        (_with(long_positive="A kite ![x](y)"), "unsafe_text"),
        (_with(short_positive=["me@kites.example"]), "unsafe_text"),
        (_with(long_positive="I'm sorry, I cannot see the picture."), "refused"),
        (_with(long_negative="The image shows" + " a blue kite" * 9), "repetition_loop"),
    ],
)
def test_an_answer_without_four_texts_is_rejected_with_its_reason(answer: str | None, reason: str) -> None:
    texts = parse_answer(answer)
    assert (texts.reason, texts.long_positive, texts.short_positive) == (reason, None, ())
    assert texts.detail


def test_an_example_of_the_prompt_is_no_description() -> None:
    prompt = f"Describe the picture. An example of an answer for another picture: {TEXT}"
    assert parse_answer(TEXT, prompt=prompt).reason == "prompt_echo"
    assert parse_answer(TEXT, prompt="Describe the picture.").reason is None


def test_a_comma_inside_a_text_is_no_trailing_comma() -> None:
    broken = _with(long_positive="A kite, [or so,] over a beach.")[:-1] + ",}"
    assert parse_answer(broken).long_positive == "A kite, [or so,] over a beach."


def test_an_answer_that_is_not_utf8_does_not_fail_its_batch() -> None:
    raw = pa.array([TEXT.encode(), b"\xff\xfe", None])
    answers = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
    assert parse_answers(answers)["reason"].to_pylist() == [None, "not_json", "empty_answer"]


@pytest.mark.parametrize("type_", [pa.string(), pa.large_string(), pa.string_view()])
def test_texts_come_in_the_order_of_answers(type_: pa.DataType) -> None:
    answers = [_with(long_positive=f"The image shows kite {number}.") for number in range(5)]
    batch = parse_answers(pa.chunked_array([answers[:2], answers[2:]], type_))
    assert batch.schema == TEXTS_SCHEMA
    assert batch["long_positive"].to_pylist() == [f"The image shows kite {number}." for number in range(5)]


@settings(deadline=None)
@given(st.lists(st.none() | st.text() | _MUTATED | _ANY_JSON.map(json.dumps)))
def test_every_answer_gives_one_row(answers: list[str | None]) -> None:
    rows = parse_answers(pa.array(answers, pa.string())).to_pylist()
    assert len(rows) == len(answers)
    for row in rows:
        assert row["reason"] in REASONS if row["long_positive"] is None else row["reason"] is None


@settings(deadline=None)
@given(_MUTATED | st.text(alphabet='{}[]",:\\a\0\n`', max_size=200))
def test_accepted_texts_are_clean_whatever_was_done_to_the_answer(answer: str) -> None:
    texts = parse_answer(answer)
    if texts.reason is None:
        assert not set(texts.short_positive) & set(texts.short_negative)
        assert all(normal_tag(tag) == tag for tag in (*texts.short_positive, *texts.short_negative))
        assert all(text and text.isprintable() for text in (texts.long_positive, texts.long_negative))


@pytest.mark.parametrize("answer", [f"```\n{TEXT}```", TEXT[:-1] + ",}", _with(short_positive=["KITE", "kite "])])
def test_a_mended_answer_reads_the_same_when_written_out_again(answer: str) -> None:
    texts = parse_answer(answer)
    again = parse_answer(json.dumps({name: getattr(texts, name) for name in GOOD}))
    assert again.repairs == ()
    assert all(getattr(again, name) == getattr(texts, name) for name in GOOD)
