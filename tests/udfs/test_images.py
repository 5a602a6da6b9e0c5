"""Upright, sRGB, on white, at training size."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from tests.hostile_images import Case, cases, chunk, encoded, header, photo, png
from udfs.image_check import ImageChecker
from udfs.images import MAX_ASPECT, UnreadableImage, open_rgb, training_jpeg
from udfs.reasons import REASONS

OPENED = [case for case in cases() if case.reasons != ("too_many_pixels",)]
RED, CLEAR = (255, 0, 0, 255), (0, 0, 0, 0)


def opened(jpeg: bytes) -> Image.Image:
    return Image.open(io.BytesIO(jpeg))


def half_clear() -> Image.Image:
    image = Image.new("RGBA", (40, 20), CLEAR)
    image.paste(RED, (0, 0, 20, 20))
    return image


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
def test_what_is_transparent_becomes_white(kind: str) -> None:
    rgb = open_rgb(encoded(half_clear(), kind, lossless=True))
    assert (rgb.mode, rgb.getpixel((2, 2)), rgb.getpixel((38, 2))) == ("RGB", RED[:3], (255, 255, 255))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(photo(), "PNG", exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert open_rgb(data).tobytes() == expected.convert("RGB").tobytes()


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_rubbish_in_exif_or_profile_changes_nothing() -> None:
    plain = open_rgb(encoded(photo(), "PNG"))
    assert open_rgb(encoded(photo(), "PNG", icc_profile=b"rubbish" * 30)).tobytes() == plain.tobytes()
    assert open_rgb(encoded(photo(), "PNG", exif=b"Exif\0\0MM\0*\x7f\xff\xff\xff")).tobytes() == plain.tobytes()


def test_16_bit_grey_keeps_its_brightness() -> None:
    rows = b"\0" + struct.pack(">4H", 0, 0x4000, 0x8000, 0xFFFF)
    data = png(header(4, 1, depth=16, colour=0), chunk(b"IDAT", zlib.compress(rows)))
    assert np.asarray(open_rgb(data))[0, :, 0].tolist() == [0, 0x40, 0x80, 0xFF]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_any_mode_becomes_rgb(mode: str) -> None:
    assert open_rgb(encoded(photo().convert(mode), "PNG")).mode == "RGB"


def test_a_print_jpeg_becomes_rgb() -> None:
    assert open_rgb(encoded(photo(mode="CMYK"), "JPEG")).mode == "RGB"


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_large_image_comes_smaller_when_asked(kind: str) -> None:
    data = encoded(photo(40, 30).resize((1200, 900)), kind)
    assert open_rgb(data).size == (1200, 900)
    small = open_rgb(data, at_least=100)
    assert 100 <= min(small.size) < 200
    whole = np.asarray(open_rgb(data).resize(small.size, Image.Resampling.BOX), dtype=float)
    assert np.abs(whole - np.asarray(small)).mean() < 4


def test_a_foreign_colour_profile_is_turned_into_srgb() -> None:
    swapped = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    # Exchanging the tags of the red and the green primary makes a profile in which (255, 0, 0) is green.
    red, green = swapped.index(b"rXYZ"), swapped.index(b"gXYZ")
    swapped[red : red + 4], swapped[green : green + 4] = b"gXYZ", b"rXYZ"
    profile = bytes(swapped).replace(b"s\0R\0G\0B", b"o\0d\0d\0!")
    data = encoded(Image.new("RGB", (4, 4), (255, 0, 0)), "PNG", icc_profile=profile)
    shown = np.asarray(open_rgb(data))[0, 0]
    assert shown[1] > 200 > shown[0]


@settings(max_examples=40, deadline=None)
@given(width=st.integers(1, 400), height=st.integers(1, 400), short_side=st.sampled_from([16, 64]))
def test_the_short_side_of_a_training_jpeg_is_as_asked(width: int, height: int, short_side: int) -> None:
    jpeg = opened(training_jpeg(encoded(Image.new("RGB", (width, height), "teal"), "PNG"), short_side=short_side))
    assert min(jpeg.size) == short_side
    assert max(jpeg.size) <= MAX_ASPECT * short_side
    aspect = max(width, height) / min(width, height)
    assert max(jpeg.size) / short_side == pytest.approx(min(aspect, MAX_ASPECT), abs=1.5 / short_side)
    assert (width - height) * (jpeg.width - jpeg.height) >= 0


def test_a_training_jpeg_is_the_same_every_time() -> None:
    data = encoded(photo(300, 200), "PNG")
    assert training_jpeg(data, short_side=64) == training_jpeg(data, short_side=64)


def test_a_training_jpeg_carries_no_metadata() -> None:
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    jpeg = training_jpeg(encoded(photo(), "JPEG", exif=exif, comment=b"mine", icc_profile=b"x" * 99), short_side=32)
    assert set(opened(jpeg).info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_an_unreadable_image_has_a_reason_from_the_list() -> None:
    whole = encoded(photo(), "PNG")
    with pytest.raises(UnreadableImage) as caught:
        open_rgb(whole[: len(whole) // 2])
    assert caught.value.reason == "truncated_image"


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("case", OPENED, ids=lambda case: case.name)
def test_a_hostile_image_opens_or_is_unreadable(case: Case) -> None:
    assert outcome(case.data) in {"RGB", *REASONS}


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_image_that_passes_the_check_can_be_opened() -> None:
    with ImageChecker() as checker:
        passed = [case for case in cases() if checker.check(case.data).reason is None]
    assert {outcome(case.data) for case in passed} == {"RGB"}


def outcome(data: bytes) -> str:
    try:
        return open_rgb(data, at_least=64).mode
    except UnreadableImage as error:
        return error.reason
