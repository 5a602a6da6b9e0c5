"""Samples to caption, made without a source: each image is bytes that no other has, with a PNG's first eight."""

import hashlib
from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import DataFrame

from lakehouse.lake import Lake
from schemas.silver import SAMPLES
from udfs.spark import map_stream

PNG = b"\x89PNG\r\n\x1a\n"
_ROWS = 200
_SCHEMA = pa.schema(
    {
        "sample_id": pa.string(),
        "image_id": pa.string(),
        "image": pa.binary(),
        "alt_text": pa.string(),
        "web_tags": pa.list_(pa.string()),
        "colours": pa.list_(pa.string()),
        "width": pa.int32(),
        "height": pa.int32(),
    }
)


def add_samples(lake: Lake, count: int, *, image_bytes: int, start: int = 0, turn: int = 0) -> None:
    """Append ``count`` samples, numbered from ``start``; another ``turn`` gives the same images other alt-texts."""
    parts = max(2, count * image_bytes >> 26)
    lake.append(SAMPLES, _samples(lake.spark.range(start, start + count, 1, parts), image_bytes, turn))


def _samples(numbers: DataFrame, image_bytes: int, turn: int) -> DataFrame:
    def made(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            ids = batch["id"].to_pylist()
            for place in range(0, len(ids), _ROWS):
                rows = [_sample(number, image_bytes, turn) for number in ids[place : place + _ROWS]]
                yield pa.RecordBatch.from_pylist(rows, schema=_SCHEMA)

    return map_stream(numbers, made, _SCHEMA)


def _sample(number: int, image_bytes: int, turn: int) -> dict[str, object]:
    image = PNG + hashlib.shake_128(str(number).encode()).digest(image_bytes - len(PNG))
    image_id, alt_text = (
        hashlib.sha256(image).hexdigest(),
        f"a duck, number {number}" + (f", turn {turn}" if turn else ""),
    )
    sample_id = hashlib.sha256(f"{image_id}\0{alt_text}".encode()).hexdigest()
    ids = {"sample_id": sample_id, "image_id": image_id}
    return {
        **ids,
        "image": image,
        "alt_text": alt_text,
        "web_tags": ["duck"],
        "colours": [],
        "width": 200,
        "height": 200,
    }
