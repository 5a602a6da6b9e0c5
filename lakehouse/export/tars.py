"""Shards as WebDataset has them: the members of a sample side by side in a tar, the same bytes for the same rows.

A sample is ``KEY.jpg``, ``KEY.json`` and ``KEY.txt``. Its key is the ``sample_id``, which has no dot: a reader takes
what follows the first one for the kind of member. The JSON has the names that img2dataset and DataComp gave (``key``,
``uid``, ``sha256`` of the original image, ``caption``), then every text under the name of its column, as one string:
open_clip's development version takes those by name (``--json-text-key``), while 3.3 reads the ``txt`` alone.
"""

import json
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO

import pyarrow as pa

from lakehouse.export.rows import CAPTION
from lakehouse.stream.choice import as_texts

_UID_DIGITS = 32
"""DataComp's identifiers are 128 bits in hex, which its tools keep as two 64-bit numbers."""


def write_tar(out: BinaryIO, tables: Iterable[pa.Table], texts: Sequence[str]) -> int:
    """Write the rows of ``tables``, with the text columns ``texts``, as one tar; return how many there were."""
    rows = 0
    for table in tables:
        rows += table.num_rows
        out.writelines(part for members in _samples(table, texts) for part in members)
    out.write(b"\0" * 2 * tarfile.BLOCKSIZE)
    out.write(b"\0" * (-out.tell() % tarfile.RECORDSIZE))
    return rows


def _samples(table: pa.Table, texts: Sequence[str]) -> Iterator[Iterator[bytes | pa.Buffer]]:
    images = table.column("image").combine_chunks()
    for image, described in zip(images, _described(table, texts), strict=True):
        key, caption = described["key"], described["caption"]
        yield _member(f"{key}.jpg", image.as_buffer())
        yield _member(f"{key}.json", json.dumps(described, ensure_ascii=False).encode())
        yield _member(f"{key}.txt", caption.encode())


def _described(table: pa.Table, texts: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield what stands in the JSON of each row; a text that a row lacks is absent."""
    joined = table.select(["sample_id", "image_id", CAPTION, "tag_ids"])
    for name in texts:
        joined = joined.append_column(name, as_texts(table.column(name).combine_chunks()))
    lists = table.select([name for name in texts if pa.types.is_nested(table.schema.field(name).type)]).to_pylist()
    for row, listed in zip(joined.to_pylist(), lists, strict=True):
        key = row.pop("sample_id")
        named = {"key": key, "uid": key[:_UID_DIGITS], "sha256": row.pop("image_id"), "caption": row.pop(CAPTION)}
        yield named | {name: value for name, value in row.items() if value is not None} | {"lists": listed}


def _member(name: str, content: bytes | pa.Buffer) -> Iterator[bytes | pa.Buffer]:
    yield header_of(name, len(content))
    yield content
    yield b"\0" * (-len(content) % tarfile.BLOCKSIZE)


def _blank_header() -> bytes:
    """Return a member's header without name, size and sum: no time, owner or user, which differ from run to run."""
    header = bytearray(tarfile.TarInfo().tobuf(tarfile.USTAR_FORMAT))
    # The sum is taken as if spaces stood in its place.
    header[_SUM] = b" " * 8
    return bytes(header)


_NAME, _SIZE, _SUM = slice(0, 100), slice(124, 136), slice(148, 156)
_BLANK = _blank_header()


def header_of(name: str, size: int) -> bytes:
    """Return what stands before a member in a tar: what ``TarInfo.tobuf`` returns, in 6 instead of 19 us.

    Raise ValueError for a name of more than 100 bytes.
    """
    header, encoded = bytearray(_BLANK), name.encode()
    if len(encoded) > _NAME.stop:
        raise ValueError(f"cannot name a member of a tar {name!r}: expected at most {_NAME.stop} bytes")
    header[: len(encoded)] = encoded
    header[_SIZE] = b"%011o\0" % size
    header[_SUM] = b"%06o\0 " % sum(header)
    return bytes(header)
