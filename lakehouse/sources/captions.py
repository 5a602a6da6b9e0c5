"""Read what a text file or a JSON record says of an image. Knows no Spark."""

import json
from collections.abc import Mapping
from typing import Any

from lakehouse.sources.columns import ALT_TEXT, LICENCE, URL, Columns, find
from lakehouse.sources.source_row import Caption, is_utf8

_ENDS_A_SENTENCE = (".", "!", "?", "…", ":", ";")


def read_sidecars(*, text: bytes | None, record: bytes | None, columns: Columns) -> Caption:
    """Return the caption that stands in a text file, in a JSON record, or in both: then the text file is the alt-text.

    With neither the alt-text is missing, which is no reason yet: another place may have it.
    """
    try:
        alt_text = None if text is None else _one_line_end_less(text.decode("utf-8-sig"))
        fields = {} if record is None else parse_record(record)
    except UnicodeDecodeError as error:
        return Caption(reason="bad_utf8", detail=f"byte {error.start} is not UTF-8")
    except ValueError as error:
        return Caption(reason="bad_metadata", detail=str(error))
    return caption_of(fields, columns=columns, alt_text=alt_text)


def parse_record(record: bytes) -> dict[str, Any]:
    """Return the JSON object in ``record``; raise ValueError with one line if it holds none."""
    try:
        fields = json.loads(record.decode("utf-8-sig"), parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise ValueError(f"a JSON {type(fields).__name__}, not an object")
    return fields


def caption_of(fields: Mapping[str, Any], *, columns: Columns, alt_text: str | None = None) -> Caption:
    """Return the caption that ``fields`` hold; an ``alt_text`` given stands above theirs.

    Without a field for the text, title and description make it. What is not alt-text, URL or licence is metadata.
    """
    rest = {name: value for name, value in fields.items() if value is not None and value != ""}
    url = _take_text(rest, find(rest, columns.url, URL))
    licence = _take_text(rest, find(rest, columns.licence, LICENCE))
    found = _take_alt_text(rest, columns) if alt_text is None else alt_text
    if alt_text is not None:
        rest = {name: value for name, value in rest.items() if not (name.lower() in ALT_TEXT and value == alt_text)}
    broken = next((text for text in (found, url, licence) if text and not is_utf8(text)), None)
    if broken is not None:
        return Caption(reason="bad_utf8", detail=f"not UTF-8: {broken[:80]!r}")
    return Caption(found, url, licence, _metadata(rest))


def join_title(title: str, description: str) -> str:
    """Return one alt-text of both; a description that says the title again is left out.

    >>> join_title("Red kite", "A bird over a wood."), join_title("Red kite", "red kite.")
    ('Red kite. A bird over a wood.', 'Red kite')
    """
    plain_title, plain = title.strip(), description.strip()
    if not plain or plain.rstrip(".").casefold() == plain_title.rstrip(".").casefold():
        return title
    if not plain_title:
        return description
    return f"{plain_title}{' ' if plain_title.endswith(_ENDS_A_SENTENCE) else '. '}{plain}"


def _take_alt_text(rest: dict[str, Any], columns: Columns) -> str | None:
    wanted = [columns.alt_text] if columns.alt_text else ALT_TEXT
    candidates = (find(rest, columns.alt_text, [name]) for name in wanted if name)
    name = next((name for name in candidates if name and _text_in(rest[name])), None)
    if name is None:
        return _take_text(rest, find(rest, None, ["description"])) if columns.alt_text is None else None
    text = _text_in(rest[name])
    # Of several captions the first is the alt-text; the list stays whole in the metadata.
    if isinstance(rest[name], str):
        del rest[name]
    if text is not None and name.lower() == "title":
        return join_title(text, _take_text(rest, find(rest, None, ["description"])) or "")
    return text


def _text_in(value: object) -> str | None:
    first = value[0] if isinstance(value, list) and value else value
    return first if isinstance(first, str) and first.strip() else None


def _take_text(rest: dict[str, Any], name: str | None) -> str | None:
    is_text = name is not None and isinstance(rest[name], str)
    return rest.pop(name) if is_text and name is not None else None


def _metadata(rest: dict[str, Any]) -> str | None:
    name = find(rest, None, ["tags"])
    if name is not None:
        rest = {**{key: value for key, value in rest.items() if key != name}, "tags": _tags(rest[name])}
    if not rest:
        return None
    text = json.dumps(rest, ensure_ascii=False, separators=(",", ":"))
    return text if is_utf8(text) else json.dumps(rest, separators=(",", ":"))


def _tags(value: object) -> list[str]:
    tags = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else [value]
    return [text for text in (str(tag).strip() for tag in tags) if text]


def _one_line_end_less(text: str) -> str:
    # The line end of a text file belongs to the file, not to the text.
    return text.removesuffix("\n").removesuffix("\r")


def _no_constant(_: str) -> None:
    # NaN and Infinity are not JSON: a reader of the metadata would fail on them.
    return None
