"""Thumbnails for the report: made where the image lies, so that only they travel."""

import base64
import io

import pyarrow as pa
from PIL import Image

from udfs.images import UnreadableImage, open_rgb
from udfs.report.html import Html, outside, tag

THUMBNAILS: pa.Schema = pa.schema(
    {"sample_id": pa.string(), "alt_text": pa.string(), "width": pa.int32(), "height": pa.int32(), "image": pa.binary()}
)
"""One row a pair: its size, and a small JPEG, null where the image cannot be read."""

_QUALITY = 82


def thumbnails(batch: pa.RecordBatch, *, side: int) -> pa.RecordBatch:
    """Return the batch with columns as in ``THUMBNAILS``, each image at most ``side`` pixels wide and high."""
    small = [thumbnail(data.as_py(), side=side) for data in batch["image"]]
    columns = [*(batch[name].cast(THUMBNAILS.field(name).type) for name in THUMBNAILS.names[:4]), pa.array(small)]
    return pa.RecordBatch.from_arrays([*columns[:4], columns[4].cast(pa.binary())], schema=THUMBNAILS)


def thumbnail(data: bytes, *, side: int) -> bytes | None:
    """Return the image as a JPEG, on white, at most ``side`` pixels wide and high; None if it cannot be read."""
    try:
        image = open_rgb(data, at_least=2 * side)
    except UnreadableImage:
        return None
    # A small image stays small: enlarged, it would look as if it had detail.
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    return buffer.getvalue()


def picture(image: bytes | None, alt: str, *, frame: str = "") -> Html:
    """Return the thumbnail as an element, with the image inside it; a sentence in its place where there is none."""
    if image is None:
        return tag("span", "no image to show", class_=f"picture none {frame}".strip())
    address = "data:image/jpeg;base64," + base64.b64encode(image).decode("ascii")
    shown = tag("img", src=address, alt=alt, loading="lazy", decoding="async")
    return tag("span", shown, class_=f"picture {frame}".strip())


def quoted(text: str | None, most: int = 300) -> Html:
    """Return a text that others wrote, in its own element; says so where there is none."""
    return tag("span", outside(text, most), class_="quoted") if text else tag("span", "none", class_="muted")
