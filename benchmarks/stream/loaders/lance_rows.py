"""Lance: random rows by its SafeLanceDataset, or a scan of shuffled fragments by its LanceDataset."""

from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import lance
import pyarrow as pa
from lance.sampler import ShardedFragmentSampler
from lance.torch.data import LanceDataset, SafeLanceDataset, get_safe_loader

from benchmarks.stream.loaders.batch import BATCH, Batch, collate, loading
from benchmarks.stream.loaders.rows import COLUMNS, ROWS_A_FILE, in_batches, mixed, tables


def convert(lake: Path, out: Path) -> None:
    """Write fragments."""
    table = pa.concat_tables(tables(lake)).select(COLUMNS)
    lance.write_dataset(table, str(out / "rows.lance"), max_rows_per_file=ROWS_A_FILE, max_rows_per_group=ROWS_A_FILE)


def batches(data: Path, *, workers: int, threads: int, form: str = "map") -> Iterator[Batch]:
    """Yield an epoch; ``scan`` shuffles rows in a buffer too, for Lance shuffles fragments alone."""
    uri = str(data / "rows.lance")
    if form == "scan":
        sampler = ShardedFragmentSampler(rank=0, world_size=1, randomize=True, seed=1)
        scan = LanceDataset(uri, batch_size=BATCH, columns=list(COLUMNS), sampler=sampler, to_tensor_fn=_rows)
        for rows in in_batches(mixed(chain.from_iterable(scan)), BATCH):
            yield collate(rows, threads=threads)
    elif workers:
        collation = partial(collate, threads=threads)
        yield from get_safe_loader(
            SafeLanceDataset(uri), BATCH, workers, shuffle=True, collate_fn=collation, persistent_workers=False
        )
    else:
        yield from loading(SafeLanceDataset(uri), workers=0, threads=threads, shuffle=True)


def _rows(batch: pa.RecordBatch, **_: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = batch.to_pylist()
    return rows
