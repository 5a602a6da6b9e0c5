"""What every source gives: one row a pair, or a row that says why there is no pair."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from lakehouse.sources.chunks import weighed_chunks

ARROW_ROW: Final = pa.schema(
    {
        "source": pa.string(),
        "source_uid": pa.string(),
        "image": pa.binary(),
        "alt_text": pa.string(),
        "url": pa.string(),
        "licence": pa.string(),
        "metadata": pa.string(),
        "reason": pa.string(),
        "detail": pa.string(),
    }
)
"""The columns of a source; ``sources.SOURCE_ROW`` is the same in Spark's types."""

BATCH_BYTES: Final = 16 << 20
"""Bytes of images and texts after which an Arrow batch is handed on: what a worker holds beyond one row."""

_OVERHEAD = 256
_DETAIL_CHARS = 300


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may hold, and how much one micro-batch takes up.

    ``member_bytes`` caps an image and ``text_bytes`` a text, in bytes; more is a reject. ``batch_bytes`` is how much of
    the source a micro-batch reads: at least one file, since a tar or a Parquet file is never split over two batches.
    """

    member_bytes: int = 20 << 20
    batch_bytes: int = 256 << 20
    text_bytes: int = 1 << 20


@dataclass(frozen=True, slots=True)
class Caption:
    """What a text file, a record or a captions line says of an image; ``metadata`` is a JSON object or None."""

    alt_text: str | None = None
    url: str | None = None
    licence: str | None = None
    metadata: str | None = None
    reason: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A pair of a source, named within it by ``uid``; with a reason in its caption it is a reject without an image."""

    uid: str
    image: bytes | None = None
    caption: Caption = Caption()

    @classmethod
    def rejected(cls, uid: str, reason: str, detail: str) -> "SourceRow":
        """Return the row that says why there is no pair."""
        return cls(uid, caption=Caption(reason=reason, detail=detail))


def pair_of(uid: str, image: bytes | None, caption: Caption) -> SourceRow:
    """Return the pair; a caption with a reason keeps its bytes out, a missing image or text becomes the reason."""
    if caption.reason:
        return SourceRow(uid, caption=caption)
    if image is None:
        return SourceRow(uid, caption=_because(caption, "missing_image", "a text without an image"))
    if not (caption.alt_text or "").strip():
        return SourceRow(uid, caption=_because(caption, "missing_caption", "no text came with the image"))
    return SourceRow(uid, image, caption)


def to_batches(rows: Iterable[SourceRow], *, source: str, max_bytes: int = BATCH_BYTES) -> Iterator[pa.RecordBatch]:
    """Yield the rows, in order, in batches with the columns of ``ARROW_ROW`` and about ``max_bytes`` at most."""
    return (_batch(group, source) for group in weighed_chunks(rows, max_bytes, weigh=_row_bytes))


def text_bytes(*texts: str | None) -> int:
    """Return the bytes of the texts together, and what a row costs beside them."""
    return _OVERHEAD + sum(len(text.encode("utf-8", "surrogatepass")) for text in texts if text)


def utf8(text: str) -> str:
    r"""Return ``text`` with what UTF-8 cannot hold written as an escape: lone surrogates, bytes that were no text.

    Two texts never become one: beside an escape, or what looks like one, backslashes are doubled.

    >>> print(utf8("caf\udce9"), utf8(r"caf\udce9"), utf8(r"plain\text"))
    caf\udce9 caf\\udce9 plain\text
    """
    if is_utf8(text) and r"\ud" not in text:
        return text
    return _escaped(text.replace("\\", r"\\"))


def is_utf8(text: str) -> bool:
    """Say whether ``text`` can be written as UTF-8: it holds no half of a surrogate pair."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _escaped(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _because(caption: Caption, reason: str, detail: str) -> Caption:
    return Caption(caption.alt_text, caption.url, caption.licence, caption.metadata, reason, detail)


def _row_bytes(row: SourceRow) -> int:
    caption = row.caption
    texts = (row.uid, caption.alt_text, caption.url, caption.licence, caption.metadata, caption.detail)
    return len(row.image or b"") + text_bytes(*texts)


def _batch(rows: list[SourceRow], source: str) -> pa.RecordBatch:
    captions = [row.caption for row in rows]
    columns = [
        [source] * len(rows),
        [utf8(row.uid) for row in rows],
        [row.image for row in rows],
        [caption.alt_text for caption in captions],
        [caption.url for caption in captions],
        [caption.licence for caption in captions],
        [caption.metadata for caption in captions],
        [caption.reason for caption in captions],
        [caption.detail and _escaped(caption.detail[:_DETAIL_CHARS]) for caption in captions],
    ]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, ARROW_ROW, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=ARROW_ROW)
