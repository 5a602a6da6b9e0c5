"""Make the row that a trainer reads: the image at training size, and tags as positions in the vocabulary."""

from collections.abc import Mapping

import pyarrow as pa

from udfs.images import UnreadableImage, training_jpeg
from udfs.vocabulary import ids_of


def publish(batch: pa.RecordBatch, *, short_side: int, positions: Mapping[str, int]) -> pa.RecordBatch:
    """Return ``batch`` with ``image`` replaced by our own JPEG of ``short_side`` pixels and with ``tag_ids`` added.

    An image that cannot be read, which ingest should have seen, is null, and ``reason`` says why.
    """
    made = [_training_image(data, short_side) for data in batch["image"].to_pylist()]
    tag_ids = [ids_of(tags, positions) for tags in batch["short_positive"].to_pylist()]
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    columns["image"] = pa.array([image for image, _ in made], pa.binary())
    columns["reason"] = pa.array([reason for _, reason in made], pa.string())
    columns["tag_ids"] = pa.array(tag_ids, pa.list_(pa.int32()))
    return pa.RecordBatch.from_pydict(columns)


def _training_image(data: bytes, short_side: int) -> tuple[bytes | None, str | None]:
    try:
        return training_jpeg(data, short_side=short_side), None
    except UnreadableImage as error:
        return None, error.reason
