"""HTML that is safe by default: texts stay texts, and nothing loads or runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.udfs.report.parsed import parsed
from tests.udfs.report.reports import HOSTILE
from udfs.report.html import Html, clean, escape, one_line, outside, tag


@given(st.text() | st.sampled_from(HOSTILE))
def test_a_text_in_an_element_is_read_back_as_that_text(text: str) -> None:
    found = parsed(tag("p", text))
    assert found.tags == [("p", {})]
    assert found.text == clean(text)


@given(st.text() | st.sampled_from(HOSTILE))
def test_a_text_in_an_attribute_is_read_back_as_that_text(text: str) -> None:
    assert parsed(tag("img", alt=text)).tags == [("img", {"alt": clean(text)})]


@given(st.text())
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@pytest.mark.parametrize("char", ["\x00", "\x1b", "\x85", "\u202e", "\u2066", "\u200f", "\u2028", "\ufeff", "\ud800"])
def test_a_character_that_acts_unseen_is_gone(char: str) -> None:
    assert char not in clean(f"a{char}b")


def test_text_in_any_script_stays() -> None:
    assert clean("Grüße 写真 صورة می‌خواهم 👩‍🚀") == "Grüße 写真 صورة می‌خواهم 👩‍🚀"


def test_html_that_meets_a_plain_text_is_no_longer_html() -> None:
    assert escape(Html("<b>") + "<i>") == "&lt;b&gt;&lt;i&gt;"


@pytest.mark.parametrize("name", ["onload", "onerror", "style", "srcdoc", "formaction", "xlink_href"])
def test_an_attribute_that_could_run_something_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="could run or load something"):
        tag("p", **{name: "x"})


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "https://example.org/",
        "//example.org",
        "data:text/html;base64,PHA+",
        "data:image/svg+xml,a",
    ],
)
def test_an_address_outside_the_page_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="expected a place in the page"):
        tag("a", "x", href=address)


def test_an_attribute_that_is_missing_is_left_out() -> None:
    assert tag("td", "1", class_=None, hidden=False, open=True) == "<td open>1</td>"


@given(st.text(), st.integers(2, 50))
def test_one_line_is_one_line_of_that_length(text: str, most: int) -> None:
    line = one_line(text, most)
    assert len(line) <= most
    assert len(line.splitlines()) <= 1


def test_who_an_email_address_belongs_to_is_not_shown() -> None:
    assert one_line("drawn by jane.doe+art@example.org, 2004") == "drawn by …@example.org, 2004"


def test_a_text_from_outside_keeps_its_direction_to_itself() -> None:
    assert outside("שלום") == "<bdi>שלום</bdi>"
