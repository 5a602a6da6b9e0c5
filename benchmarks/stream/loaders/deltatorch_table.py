"""deltatorch: a Delta table with a running number, rows shuffled within a record batch, through its DataLoader."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import deltalake
from deltatorch import FieldSpec, create_pytorch_dataloader

from benchmarks.stream.loaders.batch import BATCH, Batch, collate
from benchmarks.stream.loaders.rows import COLUMNS, write_parquet


def convert(lake: Path, out: Path) -> None:
    """Write a Delta table."""
    write_parquet(lake, out)
    deltalake.convert_to_deltalake(str(out))


def batches(data: Path, *, workers: int, threads: int) -> Iterator[Batch]:
    """Yield an epoch."""
    # deltalake does not outlive a fork: its workers die.
    context = {"multiprocessing_context": "spawn"} if workers else {}
    yield from create_pytorch_dataloader(
        str(data),
        id_field="number",
        fields=[FieldSpec(name) for name in COLUMNS],
        batch_size=BATCH,
        num_workers=workers,
        shuffle=True,
        collate_fn=partial(collate, threads=threads),
        **context,
    )
