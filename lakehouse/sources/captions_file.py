"""Read a captions file: a CSV or JSONL that names images and says something of each. Knows no Spark."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from posixpath import dirname, join, normpath
from typing import Any, Self

from lakehouse.sources.captions import caption_of, parse_record
from lakehouse.sources.columns import FILE_NAME, Columns, find
from lakehouse.sources.names import ending, is_unsafe
from lakehouse.sources.source_row import Caption, Limits, is_utf8
from lakehouse.sources.tar import Stream

ENDINGS = ("jsonl", "csv")
_KNOWN = ("metadata.jsonl", "metadata.csv", "captions.jsonl", "captions.csv")
_BOM = b"\xef\xbb\xbf"
_CHUNK = 1 << 20
_TOO_LONG = Caption(reason="too_many_bytes", detail="the line is over the limit of a text")
# What has no usable line among its first ones is no captions file.
_LOOKED_AT = 100


@dataclass(frozen=True, slots=True)
class CaptionLine:
    """One line: its number from 1, the image's path relative to the source or None, and what it says."""

    number: int
    image: str | None
    caption: Caption


def choose_captions(names: Iterable[str]) -> str | None:
    """Return which of the files of one folder holds its captions: the known names first, else the only CSV or JSONL.

    >>> choose_captions(["a.jpg", "texts.csv"]), choose_captions(["a.csv", "captions.csv"]), choose_captions(["a.jpg"])
    ('texts.csv', 'captions.csv', None)
    """
    by_base = {name.rpartition("/")[2].lower(): name for name in names if ending(name) in ENDINGS}
    known = next((by_base[name] for name in _KNOWN if name in by_base), None)
    return known or (next(iter(by_base.values())) if len(by_base) == 1 else None)


def is_known(name: str) -> bool:
    """Say whether a file of this name must be a captions file."""
    return name.rpartition("/")[2].lower() in _KNOWN


def first_fields(stream: Stream, *, name: str, limits: Limits) -> list[str]:
    """Return the columns of a CSV, or the keys of the first object of a JSONL; none if it starts with neither."""
    records = islice(_records(stream, ending(name), limits), _LOOKED_AT)
    return list(next((record for _, record in records if not isinstance(record, Caption)), {}))


def read_captions(stream: Stream, *, name: str, columns: Columns, limits: Limits) -> Iterator[CaptionLine]:
    """Yield every line of the captions file ``name``; a line that cannot be used says why, and the next one counts."""
    for number, record in _records(stream, ending(name), limits):
        if isinstance(record, Caption):
            yield CaptionLine(number, None, record)
        else:
            yield _line(number, record, folder=dirname(name), columns=columns)


def _line(number: int, fields: Mapping[str, Any], *, folder: str, columns: Columns) -> CaptionLine:
    key = find(fields, columns.image, FILE_NAME)
    image = fields.get(key) if key else None
    if not isinstance(image, str) or not image.strip():
        return CaptionLine(number, None, Caption(reason="bad_metadata", detail="the line names no image"))
    if is_unsafe(image):
        return CaptionLine(number, None, Caption(reason="unsafe_name", detail=f"the image is {image!r}"))
    if not is_utf8(image):
        return CaptionLine(number, None, Caption(reason="bad_utf8", detail=f"the image is {image!r}"))
    rest = {name: value for name, value in fields.items() if name != key}
    return CaptionLine(number, normpath(join(folder, image)), caption_of(rest, columns=columns))


def _records(stream: Stream, kind: str, limits: Limits) -> Iterator[tuple[int, dict[str, Any] | Caption]]:
    lines = _lines(stream, limits.text_bytes)
    return _csv_records(lines, limits) if kind == "csv" else _json_records(lines)


def _json_records(lines: Iterator[tuple[bytes, bool]]) -> Iterator[tuple[int, dict[str, Any] | Caption]]:
    for number, (line, is_whole) in enumerate(lines, 1):
        if not is_whole:
            yield number, _TOO_LONG
        elif line.strip():
            yield number, _json_record(line)


def _json_record(line: bytes) -> dict[str, Any] | Caption:
    try:
        return parse_record(line)
    except UnicodeDecodeError as error:
        return Caption(reason="bad_utf8", detail=f"byte {error.start} of the line is not UTF-8")
    except ValueError as error:
        return Caption(reason="bad_metadata", detail=str(error))


def _csv_records(lines: Iterator[tuple[bytes, bool]], limits: Limits) -> Iterator[tuple[int, dict[str, Any] | Caption]]:
    csv.field_size_limit(limits.text_bytes)
    numbered = _WholeLines(lines)
    rows = _csv_rows(csv.reader(numbered))
    first = next(rows, None)
    header: list[str] = first if isinstance(first, list) else []
    for row in rows:
        if isinstance(row, Caption):
            yield numbered.number, row
        elif row:
            yield numbered.number, dict(zip(header, row, strict=False))


class _LineTooLong(Exception):
    """Ends the record that the line belongs to; the csv reader starts another with the next line."""


class _WholeLines:
    """The text of each line, and the number of the last one; raises _LineTooLong in the place of one that is cut.

    Half a line must not reach the csv reader: in an open quote it would take the lines after it for the same cell.
    """

    def __init__(self, lines: Iterator[tuple[bytes, bool]]) -> None:
        self.number = 0
        self._lines = lines

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line, is_whole = next(self._lines)
        self.number += 1
        if not is_whole:
            raise _LineTooLong
        # A byte that is no UTF-8 spoils its own cell only: it comes as a lone surrogate, which caption_of looks for.
        return line.decode("utf-8", "surrogateescape")


def _csv_rows(rows: Iterator[list[str]]) -> Iterator[list[str] | Caption]:
    while True:
        try:
            yield next(rows)
        except StopIteration:
            return
        except _LineTooLong:
            yield _TOO_LONG
        except csv.Error as error:
            yield Caption(reason="bad_metadata", detail=f"not CSV: {error}")


def _lines(stream: Stream, limit: int) -> Iterator[tuple[bytes, bool]]:
    """Yield lines with their ends, and whether each is whole: of a longer one only its first ``limit`` bytes come."""
    left = b""
    is_first, is_whole = True, True
    while part := stream.read(_CHUNK):
        data = left + (part.removeprefix(_BOM) if is_first else part)
        is_first = False
        whole, end, left = data.rpartition(b"\n")
        for line in io.BytesIO(whole + end):
            yield line[:limit], is_whole and len(line) <= limit
            is_whole = True
        if len(left) > limit:
            left, is_whole = left[:limit], False
    if left:
        yield left, is_whole
