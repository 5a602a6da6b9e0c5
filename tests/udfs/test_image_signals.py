"""What is measured of an image means what silver.signals says."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from tests.hostile_images import encoded, photo
from udfs.image_signals import image_signals, perceptual_hash
from udfs.images import UnreadableImage


def scene(size: int = 200) -> Image.Image:
    """Return a drawing with large and small shapes, not symmetrical."""
    image = Image.new("RGB", (size, size), "skyblue")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, size * 0.7, size, size), fill="forestgreen")
    draw.ellipse((size * 0.6, size * 0.1, size * 0.9, size * 0.4), fill="gold")
    draw.polygon([(size * 0.1, size * 0.8), (size * 0.3, size * 0.3), (size * 0.5, size * 0.8)], fill="maroon")
    return image


def distance(one: int, other: int) -> int:
    return ((one ^ other) & (2**64 - 1)).bit_count()


def cut_out(alpha: int = 0) -> Image.Image:
    image = Image.new("RGBA", (40, 40), (255, 255, 255, alpha))
    image.paste((255, 0, 0, 255), (0, 0, 40, 10))
    return image


def test_one_flat_colour_has_no_detail() -> None:
    found = image_signals(encoded(Image.new("RGB", (50, 20), (200, 0, 0)), "PNG"))
    assert (found.entropy, found.sharpness, found.flat_share, found.alpha_share) == (0, 0, 1, 0)
    assert (found.colours, found.mean_rgb, found.aspect) == (("red",), (200, 0, 0), 2.5)


def test_size_is_before_the_rotation_that_exif_asks_for() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    found = image_signals(encoded(photo(90, 30), "JPEG", exif=exif))
    assert (found.width, found.height, found.aspect) == (90, 30, 3)


def test_entropy_of_two_equal_halves_is_one_bit() -> None:
    image = Image.new("L", (20, 20), 0)
    image.paste(255, (0, 0, 10, 20))
    assert image_signals(encoded(image, "PNG")).entropy == pytest.approx(1)


def test_blur_makes_sharpness_smaller() -> None:
    sharp, soft = scene(), scene().filter(ImageFilter.GaussianBlur(4))
    assert image_signals(encoded(sharp, "PNG")).sharpness > 5 * image_signals(encoded(soft, "PNG")).sharpness


def test_what_is_transparent_is_no_colour_of_the_image() -> None:
    found = image_signals(encoded(cut_out(), "PNG"))
    assert (found.colours, found.alpha_share) == (("red",), 0.75)
    assert found.mean_rgb == (255, 191, 191)


def test_white_that_is_drawn_is_a_colour() -> None:
    assert image_signals(encoded(cut_out(alpha=255), "PNG")).colours == ("white", "red")


def test_an_image_that_cannot_be_seen_has_no_colours() -> None:
    found = image_signals(encoded(Image.new("RGBA", (9, 9)), "PNG"))
    assert (found.colours, found.alpha_share, found.mean_rgb) == ((), 1, (255, 255, 255))


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (257, 255)])
def test_odd_sizes_can_be_measured(size: tuple[int, int]) -> None:
    found = image_signals(encoded(photo(*size), "PNG"))
    assert (found.width, found.height, found.aspect) == (*size, max(size) / min(size))


def test_the_hash_survives_another_size_with_another_encoding() -> None:
    original = image_signals(encoded(scene(), "PNG")).phash
    copy = image_signals(encoded(scene().resize((420, 400)), "JPEG", quality=60)).phash
    assert distance(original, copy) <= 6


def test_different_images_have_distant_hashes() -> None:
    original = image_signals(encoded(scene(), "PNG")).phash
    assert distance(original, image_signals(encoded(scene().rotate(90), "PNG")).phash) > 16


def test_the_first_bit_of_the_hash_is_the_mean_brightness_in_the_sign() -> None:
    assert perceptual_hash(Image.new("L", (64, 64), 200)) == -(2**63)
    assert perceptual_hash(Image.new("L", (64, 64), 0)) == 0


def test_the_second_bit_of_the_hash_is_the_slope_from_left_to_right() -> None:
    darkening = Image.fromarray(np.tile(np.linspace(255, 0, 64).astype(np.uint8), (64, 1)))
    brightening = darkening.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert [perceptual_hash(image) >> 62 & 1 for image in (darkening, brightening)] == [1, 0]


@settings(max_examples=40, deadline=None)
@given(pixels=st.binary(min_size=4 * 35, max_size=4 * 35), mode=st.sampled_from(["RGBA", "CMYK"]))
def test_signals_of_any_pixels_stay_in_their_ranges(pixels: bytes, mode: str) -> None:
    image = Image.frombytes(mode, (7, 5), pixels)
    found = image_signals(encoded(image, "PNG" if mode == "RGBA" else "JPEG"))
    assert 0 <= found.entropy <= 8
    assert found.sharpness >= 0
    assert all(math.isfinite(value) for value in (found.entropy, found.sharpness, found.flat_share))
    assert 0 < found.flat_share <= 1
    assert 0 <= found.alpha_share <= 1
    assert all(0 <= value <= 255 for value in found.mean_rgb)
    assert -(2**63) <= found.phash < 2**63


def test_half_an_image_is_unreadable() -> None:
    data = encoded(photo(), "JPEG")
    with pytest.raises(UnreadableImage):
        image_signals(data[: len(data) // 2])
