"""Rows of a lake as loaders are given them: one text, one key, a number, and the encoded image."""

import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

ROWS_A_FILE: Final = 512
ROW_GROUP: Final = 256
BUFFER: Final = 2048
"""Rows among which a loader with a shuffle buffer draws the next."""
COLUMNS: Final = ("sample_id", "image", "text")

T = TypeVar("T")


def tables(lake: Path) -> Iterator[pa.Table]:
    """Yield the table in pieces of 512 rows: columns ``number``, ``sample_id``, ``image`` and ``text``."""
    number = 0
    for file in sorted((lake / "gold" / "training").glob("*.parquet")):
        table = pq.read_table(file, columns=["sample_id", "image", "alt_text"]).rename_columns(COLUMNS)
        for begin in range(0, table.num_rows, ROWS_A_FILE):
            piece = table.slice(begin, ROWS_A_FILE)
            yield piece.add_column(0, "number", pa.array(range(number, number + piece.num_rows), pa.int64()))
            number += piece.num_rows


def rows(lake: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows."""
    for table in tables(lake):
        yield from table.to_pylist()


def write_parquet(lake: Path, out: Path) -> None:
    """Write files of two row groups of 256, as ours are, so that loaders that deal out files have enough of them."""
    for part, table in enumerate(tables(lake)):
        compression = {name: "none" if name == "image" else "snappy" for name in table.column_names}
        pq.write_table(table, out / f"part-{part:05}.parquet", row_group_size=ROW_GROUP, compression=compression)


def parquet_files(data: Path) -> list[str]:
    """Return the files that ``write_parquet`` wrote."""
    return [str(file) for file in sorted(data.glob("*.parquet"))]


def shuffled_rows(files: Sequence[str], *, part: int = 0, parts: int = 1) -> Iterator[dict[str, Any]]:
    """Yield the rows of every ``parts``-th row group, in a random order over eight row groups or more.

    Images are references into memory that Arrow holds: nothing is copied.
    """
    groups = [(file, group) for file in files for group in range(pq.read_metadata(file).num_row_groups)]
    random.Random(1).shuffle(groups)  # the same in every process
    return mixed(row for file, group in groups[part::parts] for row in _rows_of(file, group))


def _rows_of(file: str, group: int) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(file, memory_map=True) as parquet:
        table = parquet.read_row_group(group, columns=list(COLUMNS), use_threads=False).combine_chunks()
    images = [value.as_buffer() for value in table.column("image").chunk(0)]
    texts, ids = table.column("text").to_pylist(), table.column("sample_id").to_pylist()
    for image, text, sample_id in zip(images, texts, ids, strict=True):
        yield {"image": image, "text": text, "sample_id": sample_id}


def mixed(items: Iterable[T], *, buffer: int = BUFFER) -> Iterator[T]:
    """Yield the items in a random order, each drawn from ``buffer`` of them."""
    draw = random.Random(1)
    held: list[T] = []
    for item in items:
        held.append(item)
        if len(held) >= buffer:
            at = draw.randrange(buffer)
            held[at], held[-1] = held[-1], held[at]
            yield held.pop()
    draw.shuffle(held)
    yield from held


def in_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of ``size`` items; the last is shorter where they do not come out even."""
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
