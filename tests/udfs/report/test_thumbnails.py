"""Thumbnails: small, on white, and none where there is nothing to see."""

import io

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.udfs.report.reports import jpeg
from udfs.report.thumbnails import THUMBNAILS, picture, thumbnail, thumbnails


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300))
def test_a_thumbnail_is_no_larger_than_asked_nor_than_the_image(width: int, height: int) -> None:
    small = thumbnail(jpeg((width, height)), side=64)
    assert small is not None
    with Image.open(io.BytesIO(small)) as image:
        assert max(image.size) <= 64
        assert image.width <= width
        assert image.height <= height


def test_transparency_is_shown_on_white() -> None:
    buffer = io.BytesIO()
    Image.new("RGBA", (16, 16), (255, 0, 0, 0)).save(buffer, "PNG")
    small = thumbnail(buffer.getvalue(), side=16)
    assert small is not None
    with Image.open(io.BytesIO(small)) as image:
        assert image.convert("RGB").getpixel((8, 8)) == (255, 255, 255)


def test_an_image_that_cannot_be_read_has_no_thumbnail() -> None:
    assert thumbnail(b"not an image", side=16) is None


def test_rows_stay_in_order_with_their_texts() -> None:
    columns = {
        "sample_id": ["a", "b"],
        "alt_text": ["one", "two"],
        "width": pa.array([8, 1], pa.int32()),
        "height": pa.array([8, 1], pa.int32()),
        "image": [jpeg(), b"broken"],
    }
    made = thumbnails(pa.RecordBatch.from_pydict(columns), side=16)
    assert made.schema == THUMBNAILS
    assert made["sample_id"].to_pylist() == ["a", "b"]
    assert [image is None for image in made["image"].to_pylist()] == [False, True]


def test_a_picture_that_is_missing_is_said_to_be() -> None:
    assert "no image to show" in picture(None, "a kite")
