"""What decoding promises."""

import cv2
import numpy as np
import pytest

from lakehouse.stream.augment import View
from lakehouse.stream.batch import Pixels
from lakehouse.stream.decode import decode_view
from tests.lakehouse.stream.lakes import colour, jpeg


def ramp(height: int, width: int) -> Pixels:
    """Return a JPEG whose red grows to the right and whose green grows downwards, one level a pixel."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 2], image[..., 1] = np.arange(width)[None, :], np.arange(height)[:, None]
    flags = [cv2.IMWRITE_JPEG_QUALITY, 100, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return np.asarray(cv2.imencode(".jpg", image, flags)[1])


def decoded(encoded: Pixels | bytes, side: int, down: float = 0.5, right: float = 0.5) -> Pixels:
    place = np.zeros((side, side, 3), np.uint8)
    data = np.frombuffer(encoded, np.uint8) if isinstance(encoded, bytes) else encoded
    assert decode_view(data, place, View(down, right)) is None
    return place


def test_channels_are_red_green_blue() -> None:
    assert np.abs(decoded(jpeg(0x321), 32).astype(int) - colour(0x321)).max() <= 3


@pytest.mark.parametrize(("down", "right", "corner"), [(0, 0, (0, 0)), (0.5, 0.5, (8, 15)), (0.999, 0.999, (16, 30))])
def test_a_crop_lies_where_it_is_asked_for(down: float, right: float, corner: tuple[int, int]) -> None:
    red, green, _ = decoded(ramp(80, 94), 64, down, right)[0, 0].astype(int)
    assert abs(green - corner[0]) <= 2
    assert abs(red - corner[1]) <= 2


@pytest.mark.parametrize("shape", [(30, 40), (64, 64), (80, 200), (200, 90), (256, 256), (1, 300), (300, 1), (65, 64)])
def test_every_size_fills_the_square(shape: tuple[int, int]) -> None:
    assert decoded(ramp(*(min(side, 255) for side in shape)), 64).any()


def test_a_much_larger_image_is_scaled_before_it_is_cropped() -> None:
    red = decoded(ramp(250, 250), 64)[32, :, 0].astype(int)
    assert red[-1] - red[0] > 200


@pytest.mark.parametrize("encoded", [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"\xff\xd8\xff" + b"x" * 50])
def test_what_is_no_jpeg_gets_a_reason(encoded: bytes) -> None:
    place = np.zeros((8, 8, 3), np.uint8)
    reason = decode_view(np.frombuffer(encoded, np.uint8), place, View(0.5, 0.5))
    assert reason is not None
    assert "JPEG" in reason


def test_a_png_never_reaches_the_decoder() -> None:
    png = np.asarray(cv2.imencode(".png", np.ones((9, 9, 3), np.uint8))[1])
    assert "not a JPEG" in str(decode_view(png, np.zeros((8, 8, 3), np.uint8), View(0.5, 0.5)))


def test_pixels_are_those_of_opencv() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (61, 83, 3), dtype=np.uint8)
    encoded = np.asarray(cv2.imencode(".jpg", noise)[1])
    theirs = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB))
    assert np.array_equal(decoded(encoded, 61, 0, 0), theirs[:, :61])


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_an_image_that_is_cut_off_gets_a_reason(share: float) -> None:
    encoded = ramp(80, 94)
    cut = encoded[: int(share * len(encoded))]
    assert "JPEG" in str(decode_view(cut, np.zeros((64, 64, 3), np.uint8), View(0.5, 0.5)))


def test_images_that_follow_one_another_do_not_mix() -> None:
    places = {number: decoded(jpeg(number), 32).astype(int) for number in (0x321, 0xABC)}
    assert all(np.abs(place - colour(number)).max() <= 3 for number, place in places.items())
