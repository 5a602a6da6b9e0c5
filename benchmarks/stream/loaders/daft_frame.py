"""Daft: a data frame shuffled as a whole, decoded by Daft or by simplejpeg, through its loader for PyTorch."""

from collections.abc import Iterator
from pathlib import Path

import daft
from daft import col
from daft.functions import crop, decode_image, to_list

from benchmarks.stream.loaders.batch import BATCH, SIDE, STORED_SIDE, Batch, decoded
from benchmarks.stream.loaders.rows import COLUMNS, parquet_files, write_parquet

_THREADS = 2
_ROWS_AT_A_TIME = 4 * BATCH

convert = write_parquet


def batches(data: Path, *, decode: str) -> Iterator[Batch]:
    """Yield an epoch; ``decode`` says by what: ``daft`` or ``simplejpeg``."""
    # Without it Daft decodes the whole lake before its first batch, in 4 GB, and gives batches at the speed of copying.
    daft.set_execution_config(default_morsel_size=_ROWS_AT_A_TIME, enable_dynamic_batching=False)
    frame = daft.read_parquet(parquet_files(data)).shuffle(seed=1)
    if decode == "daft":
        frame = frame.with_column("image", crop(decode_image(col("image")), _square()))
    for found in frame.select(*COLUMNS).to_torch_dataloader(BATCH, prefetch_count=2):
        image = decoded(found["image"], _THREADS) if decode == "simplejpeg" else found["image"]
        yield Batch(image, found["text"], found["sample_id"])


def _square() -> daft.Expression:
    """Return left, top, width and height of a square that depends on the row: ``random_int`` has no place in a list."""
    number, most = col("number"), STORED_SIDE - SIDE + 1
    sides = [number * 7 % most, number * 13 % most, number * 0 + SIDE, number * 0 + SIDE]
    return to_list(*(side.cast(daft.DataType.uint32()) for side in sides))
