"""Writes small lakes for the stream's tests, without Spark: Parquet with page checksums and a Delta log by hand."""

import base64
import hashlib
import json
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import deltalake
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SIDE = 40
"""Short side of the images in pixels."""


def sample_id(number: int) -> str:
    return hashlib.sha256(f"sample {number}".encode()).hexdigest()


def colour(number: int) -> tuple[int, int, int]:
    """Red, green and blue of image ``number``: multiples of 16, so that JPEG keeps them apart."""
    return 16 * (number % 16), 16 * (number // 16 % 16), 16 * (number // 256 % 16)


def jpeg(number: int, *, width: int = 48, height: int = SIDE) -> bytes:
    red, green, blue = colour(number)
    image = np.full((height, width, 3), (blue, green, red), np.uint8)
    return bytes(cv2.imencode(".jpg", image)[1])


def split_of(number: int) -> str:
    return "held_out" if number % 10 == 9 else "train"


def training_rows(count: int) -> pa.Table:
    numbers = range(count)
    return pa.table(
        {
            "sample_id": [sample_id(number) for number in numbers],
            "image_id": [f"image {number}" for number in numbers],
            "image": [jpeg(number) for number in numbers],
            "alt_text": [f"alt {number}" for number in numbers],
            "web_tags": pa.array([[] for _ in numbers], pa.list_(pa.string())),
            "long_positive": [f"long {number}" for number in numbers],
            "short_positive": [[f"kite {number}", "beach"] for number in numbers],
            "long_negative": [f"not {number}" for number in numbers],
            "short_negative": [[f"tree {number}", "car"] for number in numbers],
            "tag_ids": pa.array([sorted({number % 7, number % 5}) for number in numbers], pa.list_(pa.int32())),
            "vocabulary": ["v1"] * count,
            "split": [split_of(number) for number in numbers],
            "bucket": pa.array([number * 7 % 1000 for number in numbers], pa.int32()),
            "run_id": ["r1"] * count,
        }
    )


@dataclass(frozen=True)
class Lake:
    """A lake with one table version and one release a line of ``releases``."""

    path: Path
    files: tuple[Path, ...]
    rows: pa.Table = field(repr=False)

    def ids(self, keep: Callable[[dict[str, Any]], bool]) -> list[str]:
        columns = self.rows.select(["sample_id", "split", "bucket"]).to_pylist()
        return sorted(row["sample_id"] for row in columns if keep(row))

    @property
    def train_ids(self) -> list[str]:
        return self.ids(lambda row: row["split"] == "train")


def write_lake(
    path: Path,
    rows: pa.Table,
    *,
    files: int = 3,
    group_rows: int = 16,
    deleted: Mapping[int, Sequence[int]] | None = None,
    **release: object,
) -> Lake:
    """Write ``gold/training`` and ``gold/releases``; ``deleted`` are rows a file, marked by deletion vectors."""
    table = path / "gold" / "training"
    log = table / "_delta_log"
    log.mkdir(parents=True)
    parts, length = [], -(-rows.num_rows // files)
    for number in range(files):
        parts.append(table / f"part {number}.parquet")
        part = rows.slice(number * length, length)
        pq.write_table(part, parts[-1], row_group_size=group_rows, write_page_checksum=True, compression="none")
    adds = [_add(part, (deleted or {}).get(number, ())) for number, part in enumerate(parts)]
    actions = [_protocol(), _metadata(rows.schema), *adds]
    (log / f"{0:020}.json").write_text("\n".join(json.dumps(action) for action in actions))
    write_release(path, rows, **release)
    return Lake(path, tuple(parts), rows)


def write_release(path: Path, rows: pa.Table, **release: object) -> None:
    splits = rows.column("split").to_pylist()
    line = {
        "release": "demo",
        "table_name": "gold.training",
        "table_version": 0,
        "predicate": "",
        "mix": '{"alt_text": 0.5, "long_positive": 0.5}',
        "negatives": '{"long_negative": 0.5, "short_negative": 0.5}',
        "seed": 7,
        "vocabulary": "v1",
        "tag_count": 7,
        "train_rows": splits.count("train"),
        "held_out_rows": splits.count("held_out"),
        "digest": "d1",
        "released_at": datetime(2026, 1, 1, tzinfo=UTC),
        "run_id": "r1",
        **release,
    }
    types = {"tag_count": pa.int32(), "released_at": pa.timestamp("us", "UTC")}
    table = pa.table({name: pa.array([value], types.get(name)) for name, value in line.items()})
    deltalake.write_deltalake(str(path / "gold" / "releases"), table, mode="append")


def _protocol() -> dict[str, object]:
    features = ["deletionVectors"]
    return {
        "protocol": {
            "minReaderVersion": 3,
            "minWriterVersion": 7,
            "readerFeatures": features,
            "writerFeatures": features,
        }
    }


def _metadata(schema: pa.Schema) -> dict[str, object]:
    return {
        "metaData": {
            "id": "11111111-1111-1111-1111-111111111111",
            "format": {"provider": "parquet", "options": {}},
            "schemaString": deltalake.Schema.from_arrow(schema).to_json(),
            "partitionColumns": [],
            "configuration": {"delta.enableDeletionVectors": "true"},
            "createdTime": 0,
        }
    }


def _add(file: Path, deleted: Sequence[int]) -> dict[str, object]:
    records = pq.read_metadata(file).num_rows
    add: dict[str, object] = {
        "path": quote(file.name),
        "partitionValues": {},
        "size": file.stat().st_size,
        "modificationTime": 0,
        "dataChange": True,
        "stats": json.dumps({"numRecords": records}),
    }
    if deleted:
        add["deletionVector"] = _deletion_vector(sorted(deleted))
    return {"add": add}


def _deletion_vector(rows: Sequence[int]) -> dict[str, object]:
    """Return rows below 65,536 as an inline deletion vector: one roaring bitmap with one array container, in Z85."""
    container = struct.pack("<HH", 0, len(rows) - 1) + struct.pack("<I", 16) + struct.pack(f"<{len(rows)}H", *rows)
    bitmap = struct.pack("<II", 12346, 1) + container
    payload = struct.pack("<IQI", 1681511377, 1, 0) + bitmap
    return {
        "storageType": "i",
        "pathOrInlineDv": _z85(payload + b"\0" * (-len(payload) % 4)),
        "sizeInBytes": len(payload),
        "cardinality": len(rows),
    }


def _z85(data: bytes) -> str:
    # Z85 is base85 with another alphabet.
    ours = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
    theirs = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
    return base64.b85encode(data).translate(bytes.maketrans(ours, theirs)).decode()


def flip_a_byte(file: Path, *, row_group: int, column: str) -> None:
    """Change one bit in the middle of a column chunk's data."""
    metadata = pq.read_metadata(file).row_group(row_group)
    chunks = [metadata.column(index) for index in range(metadata.num_columns)]
    chunk = next(chunk for chunk in chunks if chunk.path_in_schema.split(".")[0] == column)
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    data = bytearray(file.read_bytes())
    data[start + chunk.total_compressed_size // 2] ^= 4
    file.write_bytes(data)


def ids_of(batches: Iterable[Any]) -> list[str]:
    return [sample for batch in batches for sample in batch.sample_id]
