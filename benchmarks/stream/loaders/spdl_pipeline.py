"""SPDL: a pipeline whose source gives encoded batches, and whose threads decode a batch each.

Parquet is read as in ``torch_row_groups``, for SPDL leaves the source to its user. Its own decoder needs FFmpeg's
libraries on the system; simplejpeg decodes here, as for all.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from spdl.pipeline import PipelineBuilder

from benchmarks.stream.loaders.batch import BATCH, Batch, collate
from benchmarks.stream.loaders.rows import in_batches, parquet_files, shuffled_rows, write_parquet

_PATIENCE_S = 60.0

convert = write_parquet


def batches(data: Path, *, threads: int) -> Iterator[Batch]:
    """Yield an epoch, ``threads`` batches decoded at a time."""
    pipeline = (
        PipelineBuilder()
        .add_source(in_batches(shuffled_rows(parquet_files(data)), BATCH))
        .pipe(partial(collate, threads=1), concurrency=threads)
        .add_sink(2)
        .build(num_threads=threads)
    )
    with pipeline.auto_stop():
        yield from pipeline.get_iterator(timeout=_PATIENCE_S)
