"""Check what a source gave: is there a text, is there a sound image; and give the pair its identity."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, Final

import pyarrow as pa

from udfs.image_check import ImageChecker, Limits, Verdict

CHECKED_SCHEMA: Final = pa.schema(
    {
        "sample_id": pa.string(),
        "image_id": pa.string(),
        "image": pa.binary(),
        "format": pa.string(),
        "width": pa.int32(),
        "height": pa.int32(),
        "alt_text": pa.string(),
        "source": pa.string(),
        "source_uid": pa.string(),
        "url": pa.string(),
        "licence": pa.string(),
        "metadata": pa.string(),
        "reason": pa.string(),
        "detail": pa.string(),
    }
)
"""The columns of a source and what was found out; ``reason`` is null for what may go into bronze.pairs."""


def check(batches: Iterable[pa.RecordBatch], limits: Limits) -> Iterator[pa.RecordBatch]:
    """Yield ``batches`` of source rows with identity and verdict, one row a row, in order.

    Images are decoded in a child process that can be killed: see ``udfs.image_check``.
    """
    with ImageChecker(limits) as checker:
        for batch in batches:
            yield pa.RecordBatch.from_pylist([_checked(row, checker) for row in batch.to_pylist()], CHECKED_SCHEMA)


def _checked(row: dict[str, Any], checker: ImageChecker) -> dict[str, Any]:
    if row["reason"] is not None:
        return row
    if row["alt_text"] is None or not row["alt_text"].strip():
        return row | {"reason": "missing_caption"}
    if row["image"] is None:
        return row | {"reason": "missing_image"}
    verdict = checker.check(row["image"])
    return row | _identity(row["image"], row["alt_text"]) | _found(verdict)


def _identity(image: bytes, alt_text: str) -> dict[str, str]:
    image_id = hashlib.sha256(image).hexdigest()
    return {"image_id": image_id, "sample_id": sample_id(image_id, alt_text)}


def sample_id(image_id: str, alt_text: str) -> str:
    """Return the key of a pair: the same image with the same text is the same pair, wherever it came from."""
    return hashlib.sha256(f"{image_id}\0{alt_text}".encode()).hexdigest()


def _found(verdict: Verdict) -> dict[str, Any]:
    return {name: getattr(verdict, name) for name in ("format", "width", "height", "reason", "detail")}
