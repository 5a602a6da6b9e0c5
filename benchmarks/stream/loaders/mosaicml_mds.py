"""MosaicML Streaming: MDS shards, shuffled by its default algorithm, through its StreamingDataLoader."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from streaming import MDSWriter, StreamingDataLoader, StreamingDataset
from streaming.base.util import clean_stale_shared_memory

from benchmarks.stream.loaders.batch import BATCH, Batch, collate
from benchmarks.stream.loaders.rows import COLUMNS, rows

# 512 rows or so, as the files of the others.
_SHARD_BYTES = 1 << 23


def convert(lake: Path, out: Path) -> None:
    """Write shards; images as bytes, for its own ``jpeg`` decodes with Pillow, which is slower."""
    columns = {"sample_id": "str", "image": "bytes", "text": "str"}
    with MDSWriter(out=str(out / "mds"), columns=columns, size_limit=_SHARD_BYTES) as shards:
        for row in rows(lake):
            shards.write({name: row[name] for name in COLUMNS})


def batches(data: Path, *, workers: int, threads: int) -> Iterator[Batch]:
    """Yield an epoch."""
    clean_stale_shared_memory()
    dataset = StreamingDataset(local=str(data / "mds"), shuffle=True, shuffle_seed=1, batch_size=BATCH)
    yield from StreamingDataLoader(
        dataset, batch_size=BATCH, num_workers=workers, collate_fn=partial(collate, threads=threads)
    )
