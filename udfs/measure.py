"""Pairs in, the columns of silver.signals out: one Arrow batch at a time."""

import hashlib
from dataclasses import asdict, fields

import pyarrow as pa

from udfs.image_signals import ImageSignals, image_signals
from udfs.images import UnreadableImage
from udfs.language import FastText, LanguageIdentifier
from udfs.tags import tags_of
from udfs.text_signals import text_signals

MEASURE_SCHEMA = pa.schema(
    {
        "sample_id": pa.string(),
        "image_id": pa.string(),
        "ingested_at": pa.timestamp("us", tz="UTC"),
        "web_tags": pa.list_(pa.string()),
        "words": pa.int32(),
        "chars": pa.int32(),
        "language": pa.string(),
        "language_score": pa.float32(),
        "text_hash": pa.int64(),
        "repetition": pa.float32(),
        "is_file_name": pa.bool_(),
        "has_url": pa.bool_(),
        "has_email": pa.bool_(),
        "has_html": pa.bool_(),
        "width": pa.int32(),
        "height": pa.int32(),
        "aspect": pa.float32(),
        "entropy": pa.float32(),
        "sharpness": pa.float32(),
        "flat_share": pa.float32(),
        "alpha_share": pa.float32(),
        "colours": pa.list_(pa.string()),
        "mean_rgb": pa.list_(pa.int32()),
        "phash": pa.int64(),
        "reason": pa.string(),
        "detail": pa.string(),
    }
)
"""The columns of silver.signals in order, but for run_id; then ``reason`` and ``detail``, null where all went well."""

_CARRIED = ("sample_id", "image_id", "ingested_at")
_NOTHING = dict.fromkeys(field.name for field in fields(ImageSignals))


def measure(batch: pa.RecordBatch, identifier: LanguageIdentifier | None = None) -> pa.RecordBatch:
    """Return one row per pair of ``batch``, in order, as in MEASURE_SCHEMA.

    ``batch`` has the columns sample_id, image_id, ingested_at, image, alt_text and metadata of bronze.pairs.

    An image that cannot be decoded costs its row, not the batch: its image columns are null and ``reason`` says why
    (udfs.reasons). The caller sends such rows to ops.rejects. Raises MissingPart without a language model.
    """
    texts = [text or "" for text in batch["alt_text"].to_pylist()]
    languages = (identifier or FastText()).identify(texts)
    tags = [tags_of(metadata) for metadata in batch["metadata"].to_pylist()]
    words = [{"web_tags": own, "text_hash": text_hash(text, own)} for text, own in zip(texts, tags, strict=True)]
    speech = [{"language": language, "language_score": score} for language, score in languages]
    images = (_image_columns(image.as_py()) for image in batch["image"])
    parts = zip(words, map(asdict, text_signals(texts)), speech, images, strict=True)
    rows = [{key: value for part in row for key, value in part.items()} for row in parts]
    measured = pa.RecordBatch.from_pylist(rows, schema=pa.schema(list(MEASURE_SCHEMA)[len(_CARRIED) :]))
    carried = [batch[name].cast(MEASURE_SCHEMA.field(name).type) for name in _CARRIED]
    return pa.RecordBatch.from_arrays([*carried, *measured.columns], schema=MEASURE_SCHEMA)


def text_hash(text: str, tags: tuple[str, ...]) -> int:
    """Return a signed 64-bit hash that is equal for texts that differ in case and white space alone."""
    plain = "\0".join([" ".join(text.lower().split()), *tags])
    return int.from_bytes(hashlib.sha256(plain.encode("utf-8", "replace")).digest()[:8], "big", signed=True)


def _image_columns(data: bytes | None) -> dict[str, object]:
    if not data:
        return _NOTHING | {"reason": "empty_image", "detail": "zero bytes"}
    try:
        return dict(vars(image_signals(data)))
    except UnreadableImage as error:
        return _NOTHING | {"reason": error.reason, "detail": str(error)}
