"""What texts and records say of an image."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.sources.captions import caption_of, read_sidecars
from lakehouse.sources.columns import Columns
from lakehouse.sources.source_row import SourceRow, to_batches


def metadata(fields: dict[str, Any]) -> Any:
    return json.loads(caption_of(fields, columns=Columns()).metadata or "null")


def test_the_line_end_of_a_text_file_is_not_its_text() -> None:
    caption = read_sidecars(text=b"\xef\xbb\xbf a kite \r\n", record=None, columns=Columns())
    assert caption.alt_text == " a kite "


@pytest.mark.parametrize(
    ("fields", "alt_text"),
    [
        ({"TEXT": "a"}, "a"),
        ({"text": " ", "caption": "b"}, "b"),
        ({"caption": ["first", "second"]}, "first"),
        ({"title": "Kite", "description": "A red kite."}, "Kite. A red kite."),
        ({"title": "Kite!", "description": "Red."}, "Kite! Red."),
        ({"title": "Kite", "description": "kite."}, "Kite"),
        ({"description": "A red kite."}, "A red kite."),
        ({"caption": 7}, None),
        ({}, None),
    ],
)
def test_the_alt_text_is_found(fields: dict[str, Any], alt_text: str | None) -> None:
    assert caption_of(fields, columns=Columns()).alt_text == alt_text


def test_a_named_column_is_the_only_one_looked_for() -> None:
    assert caption_of({"text": "a", "alt": "b"}, columns=Columns(alt_text="alt")).alt_text == "b"
    assert caption_of({"text": "a"}, columns=Columns(alt_text="alt")).alt_text is None


def test_what_is_not_the_text_is_metadata() -> None:
    assert metadata({"text": "a", "title": "t", "width": 3, "none": None}) == {"title": "t", "width": 3}


@pytest.mark.parametrize("tags", ["bird, kite ,", ["bird", " kite", ""]])
def test_tags_are_a_list(tags: object) -> None:
    assert metadata({"text": "a", "tags": tags}) == {"tags": ["bird", "kite"]}


def test_metadata_is_json_whatever_the_record_holds() -> None:
    caption = read_sidecars(text=b"a", record=b'{"x": NaN, "y": "\\ud800", "z": [Infinity]}', columns=Columns())
    (batch,) = to_batches([SourceRow("u", b"x", caption)], source="s")
    assert json.loads(batch.column("metadata")[0].as_py()) == {"y": "\ud800", "z": [None]}


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_bytes_give_a_row_that_arrow_takes(text: bytes, record: bytes) -> None:
    caption = read_sidecars(text=text, record=record, columns=Columns())
    (batch,) = to_batches([SourceRow("u", b"x", caption)], source="s")
    assert batch.num_rows == 1


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=10) | st.integers() | st.lists(st.text(max_size=3))))
def test_no_field_is_lost_between_the_columns(fields: dict[str, Any]) -> None:
    caption = caption_of({**fields, "text": "a", "url": "u"}, columns=Columns())
    kept = {name for name, value in fields.items() if value != "" and name not in ("text", "url")}
    assert kept <= set(json.loads(caption.metadata or "{}")) | {"licence", "license", "URL"}
