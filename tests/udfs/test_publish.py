"""A trainer's row holds its own image, at training size."""

import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from lakehouse.errors import BadInput
from tests.hostile_images import encoded
from udfs.publish import FITS, publish

COLOURS = ((200, 30, 30), (30, 160, 40), (40, 60, 190))
SIZES = ((60, 30), (30, 60), (45, 45))
WHITE = (255, 255, 255)
BROKEN = 1
"""The row whose image ends too early: in a batch of four, no row is its own mirror image."""


def published(fit: str, pixels: int = 64) -> pa.RecordBatch:
    """A wide, a broken, a tall and a square image of one colour each, as they are published."""
    images = [encoded(Image.new("RGB", *made), "PNG") for made in zip(SIZES, COLOURS, strict=True)]
    images.insert(BROKEN, images[0][: len(images[0]) // 2])
    tags = [["dog", "cat"], ["cat"], ["unicorn"], ["dog"]]
    batch = pa.RecordBatch.from_pydict({"sample_id": list("abcd"), "image": images, "short_positive": tags})
    return publish(batch, fit=fit, pixels=pixels, positions={"cat": 0, "dog": 1})


def opened(batch: pa.RecordBatch) -> list[np.ndarray]:
    """The pixels of each image that could be read."""
    images = [Image.open(io.BytesIO(data)) for data in batch["image"].to_pylist() if data is not None]
    assert [image.format for image in images] == ["JPEG"] * len(COLOURS)
    return [np.asarray(image, dtype=float) for image in images]


def middle(image: np.ndarray) -> np.ndarray:
    """The mean colour of the part that both fits fill in any of SIZES."""
    height, width, _ = image.shape
    part = image[height * 3 // 8 : height * 5 // 8, width * 3 // 8 : width * 5 // 8]
    return np.asarray(part.mean(axis=(0, 1)))


@pytest.mark.parametrize("fit", FITS)
def test_each_row_keeps_its_own_image(fit: str) -> None:
    batch = published(fit)
    assert batch["sample_id"].to_pylist() == list("abcd")
    means = np.stack([middle(image) for image in opened(batch)])
    assert np.abs(means - np.array(COLOURS)).max() < 4


@pytest.mark.parametrize("fit", FITS)
def test_an_image_that_cannot_be_read_is_null_with_its_reason(fit: str) -> None:
    batch = published(fit)
    assert batch["reason"].to_pylist() == [None, "truncated_image", None, None]
    assert [data is None for data in batch["image"].to_pylist()] == [False, True, False, False]


@pytest.mark.parametrize("pixels", [32, 64])
def test_the_shorter_side_of_a_cropped_image_has_the_pixels_asked_for(pixels: int) -> None:
    shapes = [image.shape for image in opened(published("crop", pixels))]
    assert shapes == [(pixels, 2 * pixels, 3), (2 * pixels, pixels, 3), (pixels, pixels, 3)]


@pytest.mark.parametrize("pixels", [32, 64])
def test_a_padded_image_is_a_square_of_the_pixels_asked_for(pixels: int) -> None:
    assert [image.shape for image in opened(published("pad", pixels))] == [(pixels, pixels, 3)] * 3


def test_a_padded_image_is_white_where_the_original_ends() -> None:
    wide, tall, square = opened(published("pad", 64))
    # The border is 16 pixels wide; JPEG lets colour run across it by one.
    for around in (wide[:14], wide[50:], tall[:, :14], tall[:, 50:]):
        assert np.abs(around - WHITE).max() < 4
    for inside, colour in ((wide[18:46], COLOURS[0]), (tall[:, 18:46], COLOURS[1]), (square, COLOURS[2])):
        assert np.abs(inside - colour).max() < 4


def test_tags_become_positions_in_the_vocabulary() -> None:
    assert published("crop")["tag_ids"].to_pylist() == [[0, 1], [0], [], [1]]


def test_an_unknown_fit_names_those_there_are() -> None:
    with pytest.raises(BadInput, match=r"unknown fit 'stretch': expected one of crop, pad"):
        published("stretch")
