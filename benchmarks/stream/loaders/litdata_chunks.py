"""LitData: its own chunks or its reader of Parquet, through its StreamingDataLoader."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import litdata
from litdata.streaming.item_loader import ParquetLoader

from benchmarks.stream.loaders.batch import BATCH, Batch, collate
from benchmarks.stream.loaders.rows import COLUMNS, rows, write_parquet

# About half of its default of 64 MB: it shuffles within a chunk, so a smaller one would mix less than others do.
_ROWS_A_CHUNK = 2048


def convert(lake: Path, out: Path) -> None:
    """Write both."""
    litdata.optimize(_row, list(rows(lake)), output_dir=str(out / "chunks"), chunk_size=_ROWS_A_CHUNK, num_workers=1)
    (out / "parquet").mkdir()
    write_parquet(lake, out / "parquet")
    litdata.index_parquet_dataset(str(out / "parquet"))


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in COLUMNS}


def batches(data: Path, *, workers: int, threads: int, form: str = "chunks", window: str = "full") -> Iterator[Batch]:
    """Yield an epoch from ``chunks`` or ``parquet``; ``window`` is ``auto``, 256 rows, or a ``full`` chunk."""
    options: dict[str, Any] = {"item_loader": ParquetLoader(low_memory=True)} if form == "parquet" else {}
    dataset = litdata.StreamingDataset(str(data / form), shuffle=True, seed=1, item_shuffle_window=window, **options)
    # Its Parquet reader refuses to fork.
    context = {"multiprocessing_context": "spawn"} if form == "parquet" and workers else {}
    yield from litdata.StreamingDataLoader(
        dataset, batch_size=BATCH, num_workers=workers, collate_fn=partial(collate, threads=threads), **context
    )
