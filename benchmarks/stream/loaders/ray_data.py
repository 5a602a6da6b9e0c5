"""Ray Data: Parquet files in random order, rows shuffled before they are decoded, in tasks or in the iterator."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ray

from benchmarks.stream.loaders.batch import BATCH, Batch, decoded
from benchmarks.stream.loaders.rows import BUFFER, COLUMNS, parquet_files, write_parquet

_CORES = 2
_STORE_BYTES = 2 << 30

convert = write_parquet


def batches(data: Path, *, decode: str) -> Iterator[Batch]:
    """Yield an epoch; ``decode`` is ``in tasks`` of its workers, or ``in iterator``, by two threads beside the loop."""
    ray.init(num_cpus=_CORES, include_dashboard=False, logging_level=logging.ERROR, object_store_memory=_STORE_BYTES)
    ray.data.DataContext.get_current().enable_progress_bars = False
    table = ray.data.read_parquet(parquet_files(data), columns=list(COLUMNS), shuffle="files")
    try:
        if decode == "in tasks":
            mapped = table.random_shuffle(seed=1).map_batches(_decoded, batch_size=BATCH, batch_format="numpy")
            for found in mapped.iter_torch_batches(batch_size=BATCH, prefetch_batches=2, collate_fn=dict):
                yield Batch(found["image"], list(found["text"]), list(found["sample_id"]))
        else:
            yield from table.iter_torch_batches(
                batch_size=BATCH,
                prefetch_batches=2,
                local_shuffle_buffer_size=BUFFER,
                local_shuffle_seed=1,
                collate_fn=_batch,
            )
    finally:
        ray.shutdown()


def _decoded(rows: Mapping[str, Any]) -> dict[str, Any]:
    return {**rows, "image": decoded(rows["image"], 1).numpy()}


def _batch(rows: Mapping[str, Any]) -> Batch:
    return Batch(decoded(rows["image"], _CORES), list(rows["text"]), list(rows["sample_id"]))
