"""Ours: the release as it lies in the lake, read by ``CaptionStream`` with the alt-text alone."""

from collections.abc import Iterator
from pathlib import Path

import cv2

from benchmarks.stream.lakes import RELEASE
from benchmarks.stream.loaders.batch import BATCH, SIDE, Batch
from lakehouse.stream import CaptionStream, Mix


def convert(lake: Path, out: Path) -> None:
    """Point to the lake: there is nothing to convert."""
    (out / "lake").symlink_to(lake.resolve())


def batches(data: Path, *, threads: int) -> Iterator[Batch]:
    """Yield an epoch, decoded by so many threads."""
    cv2.setNumThreads(0)
    mix, negatives = Mix(alt_text=1), Mix()
    for batch in CaptionStream(
        data / "lake",
        release=RELEASE,
        batch_size=BATCH,
        image_size=SIDE,
        mix=mix,
        negatives=negatives,
        threads=threads,
        drop_last=False,
    ):
        yield Batch(batch.image, batch.text, batch.sample_id)
