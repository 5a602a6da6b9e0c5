"""petastorm as it ships: its Reader of Parquet, decoding in its pool, through its BatchedDataLoader.

Its loaders take no strings, so texts and keys travel as bytes of one length.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from petastorm import TransformSpec, make_batch_reader
from petastorm.pytorch import BatchedDataLoader

from benchmarks.stream.loaders.batch import BATCH, SIDE, Batch, crop
from benchmarks.stream.loaders.rows import BUFFER, COLUMNS, write_parquet

_WORKERS = 2
_TEXT_BYTES = 256
_KEY_BYTES = 64

convert = write_parquet


def batches(data: Path, *, pool: str) -> Iterator[Batch]:
    """Yield an epoch; ``pool`` is ``thread`` or ``process``."""
    fields = [
        ("image", np.uint8, (SIDE, SIDE, 3), False),
        ("text", np.uint8, (_TEXT_BYTES,), False),
        ("sample_id", np.uint8, (_KEY_BYTES,), False),
    ]
    reader = make_batch_reader(
        data.resolve().as_uri(),
        schema_fields=list(COLUMNS),
        reader_pool_type=pool,
        workers_count=_WORKERS,
        seed=1,
        transform_spec=TransformSpec(_decoded, edit_fields=fields, selected_fields=list(COLUMNS)),
    )
    with BatchedDataLoader(reader, batch_size=BATCH, shuffling_queue_capacity=BUFFER) as loader:
        for found in loader:
            yield Batch(found["image"], _strings(found["text"]), _strings(found["sample_id"]))


def _decoded(rows: pd.DataFrame) -> pd.DataFrame:
    rows["image"] = rows["image"].map(lambda image: np.ascontiguousarray(crop(image)))
    rows["text"] = rows["text"].map(lambda text: _bytes(text, _TEXT_BYTES))
    rows["sample_id"] = rows["sample_id"].map(lambda key: _bytes(key, _KEY_BYTES))
    return rows


def _bytes(text: str, size: int) -> Any:
    return np.frombuffer(text.encode().ljust(size), np.uint8)


def _strings(column: Any) -> list[str]:
    return [row.tobytes().decode().rstrip() for row in column.numpy()]
