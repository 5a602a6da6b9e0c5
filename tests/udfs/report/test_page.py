"""The page as a whole: it holds every part, loads nothing, and runs nothing whatever the texts are."""

import base64
import hashlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.udfs.report.parsed import parsed
from tests.udfs.report.reports import HOSTILE, full, report_of
from udfs.report.page import SECTIONS, page
from udfs.report.queries import QUERIES

_NAMES = (
    "html head meta title link style body header h1 h2 h3 h4 p b dl dt dd code div span nav ul ol li a main section"
)
_ALLOWED = frozenset(
    f"{_NAMES} table caption thead tbody tr th td svg rect g text line polyline circle details summary pre figure"
    " figcaption article img mark bdi footer".split()
)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_adds_no_element(text: str) -> None:
    mild = [name for name, _ in parsed(page(full("a kite"))).tags]
    assert [name for name, _ in parsed(page(full(text))).tags] == mild


@settings(max_examples=15, deadline=None)
@given(st.text(min_size=1))
def test_no_text_brings_in_what_runs_or_loads(text: str) -> None:
    for name, attributes in parsed(page(full(text))).tags:
        assert name in _ALLOWED
        assert not any(key.startswith("on") or key == "style" for key in attributes)
        for key in ("href", "src"):
            assert re.match(r"#|data:,|data:image/jpeg;base64,", attributes.get(key) or "#")


def test_the_policy_lets_in_nothing_but_the_pages_own_style() -> None:
    text = page(full("a kite"))
    policy = next(a["content"] for name, a in parsed(text).tags if name == "meta" and "http-equiv" in a)
    style = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def test_an_empty_lake_gives_a_page_that_says_what_is_left_out() -> None:
    text = page(report_of())
    for sentence in (
        "Left out, as bronze.pairs is not there yet: ingest_pairs makes it.",
        "Left out, as silver.signals is not there yet: measure_pairs makes it.",
        "Left out, as gold.captions is not there yet: publish_gold makes it.",
        "Left out, as no model was trained yet",
    ):
        assert sentence in text


def test_every_link_leads_to_a_part_of_the_page() -> None:
    tags = parsed(page(report_of())).tags
    links = [attributes["href"] for name, attributes in tags if name == "a"]
    assert links == [f"#{attributes['id']}" for name, attributes in tags if name == "section"]
    assert len(links) == len(SECTIONS)


def test_every_image_says_what_it_shows() -> None:
    images = [attributes for name, attributes in parsed(page(full("a kite"))).tags if name == "img"]
    assert images
    assert all("a kite" in (attributes["alt"] or "") for attributes in images)


def test_every_chart_says_what_it_shows() -> None:
    charts = [a for name, a in parsed(page(full("a kite"))).tags if name == "svg" and a.get("class") == "chart"]
    assert charts
    assert all(a["role"] == "img" and a["aria-label"] for a in charts)


def test_every_question_stands_on_the_page_that_answers_it() -> None:
    found = parsed(page(full("a kite"))).text
    for name, query in QUERIES.items():
        if name != "vocabulary":
            assert query.sql in found
