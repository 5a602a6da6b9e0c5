"""Hugging Face datasets: Parquet as a stream with a shuffle buffer, or memory-mapped Arrow with random access."""

from collections.abc import Iterator
from pathlib import Path

import datasets

from benchmarks.stream.loaders.batch import Batch, loading
from benchmarks.stream.loaders.rows import BUFFER, COLUMNS, parquet_files, write_parquet


def convert(lake: Path, out: Path) -> None:
    """Write Parquet, and Arrow from it."""
    write_parquet(lake, out)
    table = datasets.Dataset.from_parquet(parquet_files(out), cache_dir=str(out / "cache"))
    table.select_columns(list(COLUMNS)).save_to_disk(str(out / "arrow"))


def batches(data: Path, *, workers: int, threads: int, form: str = "map") -> Iterator[Batch]:
    """Yield an epoch: ``stream`` reads Parquet row by row, ``map`` draws rows from all of the table."""
    if form == "map":
        table = datasets.load_from_disk(str(data / "arrow"))
        yield from loading(table, workers=workers, threads=threads, shuffle=True)
        return
    files = {"train": parquet_files(data)}
    stream = datasets.load_dataset("parquet", data_files=files, split="train", streaming=True, columns=list(COLUMNS))
    yield from loading(stream.shuffle(seed=1, buffer_size=BUFFER), workers=workers, threads=threads)
