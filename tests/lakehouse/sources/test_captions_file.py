"""Captions files, good and broken."""

import io

import pytest

from lakehouse.sources.captions_file import CaptionLine, first_fields, read_captions
from lakehouse.sources.columns import Columns
from lakehouse.sources.source_row import Limits


def lines(data: bytes, name: str, limits: Limits = Limits()) -> list[CaptionLine]:  # noqa: B008
    return list(read_captions(io.BytesIO(data), name=name, columns=Columns(), limits=limits))


def test_a_csv_cell_may_hold_commas_or_line_ends() -> None:
    (line,) = lines(b'\xef\xbb\xbffile_name,text\n1.png,"a, b\nc ""d"""\n', "metadata.csv")
    assert (line.image, line.caption.alt_text) == ("1.png", 'a, b\nc "d"')


def test_names_are_relative_to_the_captions_file() -> None:
    (line,) = lines(b'{"file_name": "./x/1.png", "text": "a"}', "sub/metadata.jsonl")
    assert line.image == "sub/x/1.png"


def test_a_broken_line_spoils_no_other_line() -> None:
    good = b'{"file_name": "1.png", "text": "a"}\n'
    found = lines(good + b"{\n[1]\n\xff\n\n{}\n" + b" " * 3000 + b"\n" + good, "c.jsonl", Limits(text_bytes=1000))
    assert [line.caption.reason for line in found] == [
        None,
        "bad_metadata",
        "bad_metadata",
        "bad_utf8",
        "bad_metadata",
        "too_many_bytes",
        None,
    ]
    assert [line.number for line in found] == [1, 2, 3, 4, 6, 7, 8]


def test_bad_bytes_in_a_cell_belong_to_its_image() -> None:
    first, second = lines(b"file_name,text\n1.png,caf\xe9\n2.png,b\n", "c.csv")
    assert (first.image, first.caption.reason) == ("1.png", "bad_utf8")
    assert (second.image, second.caption.reason) == ("2.png", None)


def test_names_that_climb_out_are_unsafe() -> None:
    found = lines(b'{"image": "../1.png"}\n{"image": "/1.png"}\n', "a/c.jsonl")
    assert [(line.image, line.caption.reason) for line in found] == [(None, "unsafe_name")] * 2


def test_a_line_without_end_is_not_held() -> None:
    found = lines(b'{"file_name": "' + b"x" * (5 << 20), "c.jsonl", Limits(text_bytes=1000))
    assert [line.caption.reason for line in found] == ["too_many_bytes"]


def test_an_empty_csv_has_no_lines() -> None:
    assert lines(b"", "c.csv") == []


def test_a_csv_line_over_the_limit_takes_no_other_line_with_it() -> None:
    long = b'2.png,"' + b"x" * 3000 + b'"\n'
    found = lines(b"file_name,text\n1.png,a\n" + long + b'3.png,"b"\n4.png,c\n', "c.csv", Limits(text_bytes=1000))
    assert [(line.number, line.image, line.caption.alt_text, line.caption.reason) for line in found] == [
        (2, "1.png", "a", None),
        (3, None, None, "too_many_bytes"),
        (4, "3.png", "b", None),
        (5, "4.png", "c", None),
    ]


def test_a_csv_line_over_the_limit_ends_the_record_that_it_belongs_to() -> None:
    data = b'file_name,text\n1.png,"a\n' + b"x" * 3000 + b"\n2.png,b\n"
    first, second = lines(data, "c.csv", Limits(text_bytes=1000))
    assert (first.number, first.image, first.caption.reason) == (3, None, "too_many_bytes")
    assert (second.number, second.image, second.caption.alt_text) == (4, "2.png", "b")


@pytest.mark.parametrize("name", ["c.csv", "c.jsonl"])
def test_a_first_line_over_the_limit_hides_no_columns(name: str) -> None:
    before, after = (b"", b'{"file_name": "1.png", "text": 1}\n')
    if name == "c.csv":
        before, after = b"file_name,text\n", b"1.png,a\n"
    stream = io.BytesIO(before + b"x" * 3000 + b"\n" + after)
    assert first_fields(stream, name=name, limits=Limits(text_bytes=1000)) == ["file_name", "text"]
