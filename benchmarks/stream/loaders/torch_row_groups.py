"""torch's own DataLoader over Parquet row groups that pyarrow reads: what one writes without any other loader."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch.utils.data import IterableDataset, get_worker_info

from benchmarks.stream.loaders.batch import Batch, loading
from benchmarks.stream.loaders.rows import parquet_files, shuffled_rows, write_parquet

convert = write_parquet


class RowGroups(IterableDataset[dict[str, Any]]):
    """Rows of shuffled row groups, dealt out among the workers."""

    def __init__(self, files: list[str]) -> None:
        self._files = files

    def __iter__(self) -> Iterator[dict[str, Any]]:
        worker = get_worker_info()
        part, parts = (worker.id, worker.num_workers) if worker else (0, 1)
        return shuffled_rows(self._files, part=part, parts=parts)


def batches(data: Path, *, workers: int, threads: int) -> Iterator[Batch]:
    """Yield an epoch."""
    yield from loading(RowGroups(parquet_files(data)), workers=workers, threads=threads)
