"""WebDataset: tar shards, shards shuffled, rows shuffled in a buffer, batched in the workers."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import webdataset

from benchmarks.stream.loaders.batch import BATCH, Batch, collate
from benchmarks.stream.loaders.rows import BUFFER, ROWS_A_FILE, rows


def convert(lake: Path, out: Path) -> None:
    """Write shards."""
    with webdataset.ShardWriter(str(out / "%05d.tar"), maxcount=ROWS_A_FILE, verbose=0) as shards:
        for row in rows(lake):
            shards.write({"__key__": row["sample_id"], "jpg": row["image"], "txt": row["text"]})


def batches(data: Path, *, workers: int, threads: int) -> Iterator[Batch]:
    """Yield an epoch."""
    shards = [str(file) for file in sorted(data.glob("*.tar"))]
    dataset = (
        webdataset.WebDataset(shards, shardshuffle=len(shards), seed=1)
        .shuffle(BUFFER, initial=BUFFER)
        .map(_row)
        .batched(BATCH, collation_fn=partial(collate, threads=threads))
    )
    yield from webdataset.WebLoader(dataset, batch_size=None, num_workers=workers)


def _row(sample: Mapping[str, Any]) -> dict[str, Any]:
    return {"image": sample["jpg"], "text": sample["txt"].decode(), "sample_id": sample["__key__"]}
