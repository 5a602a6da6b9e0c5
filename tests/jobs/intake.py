"""Pairs put straight into a lake, as ingest_pairs and measure_pairs would write them but without their streams."""

import io
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import pyarrow as pa
from PIL import Image

from lakehouse.lake import Lake
from lakehouse.sources.source_row import ARROW_ROW
from lakehouse.table import Table
from schemas.bronze import PAIRS
from schemas.silver import SIGNALS
from udfs.check import check
from udfs.image_check import Limits
from udfs.measure import measure

Pictures = Mapping[str, tuple[Image.Image, str]]
"""Name -> picture and text."""


def take_in(lake: Lake, pictures: Pictures, *, at: datetime | None = None) -> None:
    """Put ``pictures`` and their signals into the lake, as if they had come in ``at`` a time, now by default."""
    pairs = pairs_of(pictures, at=at)
    add(lake, PAIRS, pairs)
    add(lake, SIGNALS, measure(pairs).drop_columns(["reason", "detail"]))


def pairs_of(pictures: Pictures, *, at: datetime | None = None) -> pa.RecordBatch:
    """Return the rows of bronze.pairs, but for run_id; every picture has to be sound."""
    rows = [
        {"source": "here", "source_uid": name, "image": png(image), "alt_text": text}
        for name, (image, text) in pictures.items()
    ]
    (checked,) = check([pa.RecordBatch.from_pylist(rows, ARROW_ROW)], Limits())
    assert set(checked["reason"].to_pylist()) == {None}
    came = pa.array([at or datetime.now(UTC)] * len(rows), pa.timestamp("us", tz="UTC"))
    return checked.drop_columns(["reason", "detail"]).append_column("ingested_at", came)


def add(lake: Lake, table: Table, rows: pa.RecordBatch) -> None:
    """Append ``rows`` in one file."""
    lake.append(table, lake.spark.createDataFrame(pa.Table.from_batches([rows])).coalesce(1))


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def names(lake: Lake, ids: Iterable[str]) -> list[str]:
    """Return the names that pairs had where they came from, sorted."""
    known = {row.sample_id: row.source_uid for row in lake.read(PAIRS).select("sample_id", "source_uid").collect()}
    return sorted(known[one] for one in ids)
