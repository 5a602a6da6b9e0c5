"""What is measured of an alt-text means what silver.signals says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.text_signals import is_file_name, text_signals


def measured(text: str):  # type: ignore[no-untyped-def]
    return text_signals([text])[0]


@pytest.mark.parametrize(
    "text",
    [
        "IMG_1234.jpg",
        "DSC-0012",
        "DSCF0012",
        "P1010023",
        "my cat.png",
        "20190304_123456",
        "/images/logo.svg",
        "image001",
        "Screenshot 2020-01-01",
        "IMG_20190304_123456 (2)",
    ],
)
def test_file_names_are_found(text: str) -> None:
    assert is_file_name(f" {text}\n")


@pytest.mark.parametrize(
    "text",
    [
        "a red car",
        "Route 66",
        "Apollo 11",
        "",
        "The file IMG_1234.jpg shows a red car",
        "v1.2",
        "picture of 3 cats",
        "iPhone 15",
        "P90 Rush Hour",
    ],
)
def test_descriptions_are_no_file_names(text: str) -> None:
    assert not is_file_name(text)


@pytest.mark.parametrize(
    "text", ["see https://a.b/c", "www.example.org", "buy at Example.com now", "shop.example.co.uk"]
)
def test_addresses_are_found(text: str) -> None:
    assert measured(text).has_url


@pytest.mark.parametrize(
    "text", ["red car", "photo.jpg", "me@example.com", "e.g. this", "end.Then more", "3.14", "Dr.No"]
)
def test_other_dots_are_no_addresses(text: str) -> None:
    assert not measured(text).has_url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to me@example.com", True),
        ("first.last+tag@a-b.example.co.uk", True),
        ("@home", False),
        ("a @ b.com", False),
    ],
)
def test_email_addresses_are_found(text: str, expected: bool) -> None:
    assert measured(text).has_email is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<b>new</b>", True),
        ('<a href="x">', True),
        ("<br/>", True),
        ("a &amp; b", True),
        ("&#8217;", True),
        ("<!-- x", True),
        ("1 < 2 > 0", False),
        ("I <3 you", False),
        ("<PERSON> smiles", False),
        ("R&D; more", False),
        ("a & b", False),
    ],
)
def test_html_is_found(text: str, expected: bool) -> None:
    assert measured(text).has_html is expected


def test_words_are_split_at_white_space() -> None:
    found = measured("  two\u00a0or  three\n")
    assert (found.words, found.chars) == (3, 13)


def test_repetition_is_the_share_of_repeated_words() -> None:
    assert measured("buy shoes, buy SHOES buy").repetition == pytest.approx(0.6)


def test_nothing_has_no_words() -> None:
    assert (measured(" ").words, measured(" ").chars, measured(" ").repetition) == (0, 0, 0)


@given(st.lists(st.text(), max_size=5))
def test_every_text_is_measured_in_order(texts: list[str]) -> None:
    found = text_signals(texts)
    assert [signals.words for signals in found] == [len(text.split()) for text in texts]
    assert all(0 <= signals.repetition < 1 for signals in found)


@pytest.mark.parametrize("piece", ["a", "a.", "<a ", "&a", "a@", "a-", "x@a.", "<p  ", "1 ", "IMG", "http", "www"])
def test_a_hostile_text_ends(piece: str) -> None:
    assert measured(piece * 100_000).chars > 0
