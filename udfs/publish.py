"""Make the row that a trainer reads: the image at training size, and tags as positions in the vocabulary."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import pyarrow as pa

from lakehouse.errors import BadInput
from udfs.images import UnreadableImage, padded_jpeg, training_jpeg
from udfs.vocabulary import ids_of

MakeImage = Callable[[bytes], bytes]


def image_maker(fit: str, pixels: int) -> MakeImage:
    """Return the function that makes a training image; raise BadInput, with the fits there are, for an unknown one."""
    if fit not in FITS:
        raise BadInput(f"unknown fit {fit!r}: expected one of {', '.join(FITS)}")
    return FITS[fit](pixels)


FITS: Final[Mapping[str, Callable[[int], MakeImage]]] = {
    "crop": lambda pixels: partial(training_jpeg, short_side=pixels),
    "pad": lambda pixels: partial(padded_jpeg, side=pixels),
}
"""crop: the shorter side has so many pixels, and the trainer crops a square; pad: the whole image on a white square."""


def publish(batch: pa.RecordBatch, *, fit: str, pixels: int, positions: Mapping[str, int]) -> pa.RecordBatch:
    """Return ``batch`` with ``image`` replaced by our own JPEG at training size, and with ``tag_ids`` added.

    An image that cannot be read, which ingest should have seen, is null, and ``reason`` says why.
    """
    make = image_maker(fit, pixels)
    made = [_made(make, data) for data in batch["image"].to_pylist()]
    tag_ids = [ids_of(tags, positions) for tags in batch["short_positive"].to_pylist()]
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    columns["image"] = pa.array([image for image, _ in made], pa.binary())
    columns["reason"] = pa.array([reason for _, reason in made], pa.string())
    columns["tag_ids"] = pa.array(tag_ids, pa.list_(pa.int32()))
    return pa.RecordBatch.from_pydict(columns)


def _made(make: MakeImage, data: bytes) -> tuple[bytes | None, str | None]:
    try:
        return make(data), None
    except UnreadableImage as error:
        return None, error.reason
