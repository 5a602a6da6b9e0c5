"""Pictures as models and people see them: upright, in sRGB, on white; and the JPEG that a trainer reads.

For bytes that ``udfs.image_check`` has passed. Everything here is deterministic: the same bytes give the same pixels.
"""

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, ImageCms

from udfs._decode_child import FORMATS, detail_of, reason_for

MAX_ASPECT = 4
"""A training image is at most this many times longer than wide; what is over is cut off evenly at both ends."""

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The turn that undoes each value of EXIF's orientation tag."""


class UnreadableImage(ValueError):
    """Bytes that cannot be decoded; ``reason`` is one of udfs.reasons."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def open_rgb(data: bytes, *, at_least: int | None = None) -> Image.Image:
    """Return the image upright, in sRGB, on white, of mode RGB and without metadata.

    With ``at_least`` a large image comes smaller, by a whole factor and its shorter side no shorter than that many
    pixels: a JPEG then decodes in a fraction of the time. Raises UnreadableImage.
    """
    with readable(data) as image:
        factor = min(image.size) // at_least if at_least else 1
        return on_white(shrunk(image, factor))


def training_jpeg(data: bytes, *, short_side: int, quality: int = 90) -> bytes:
    """Return the image as a baseline JPEG whose shorter side is ``short_side`` pixels, upright, in sRGB, on white.

    The aspect is kept up to MAX_ASPECT; a small image is enlarged. Raises UnreadableImage.
    """
    image = open_rgb(data, at_least=2 * short_side)  # twice the target: the last step can still sharpen
    box = _without_excess(image.size)
    width, height = box[2] - box[0], box[3] - box[1]
    scale = short_side / min(width, height)
    size = (max(short_side, round(width * scale)), max(short_side, round(height * scale)))
    return _jpeg(image.resize(size, Image.Resampling.BICUBIC, box=box), quality)


def padded_jpeg(data: bytes, *, side: int, quality: int = 90) -> bytes:
    """Return the whole image in the middle of a white square of ``side`` pixels, as a baseline JPEG in sRGB.

    For drawings and products, whose sides a square crop would cut off. Raises UnreadableImage.
    """
    image = open_rgb(data, at_least=2 * side)
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    square = Image.new("RGB", (side, side), "white")
    resized = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    square.paste(resized, ((side - size[0]) // 2, (side - size[1]) // 2))
    return _jpeg(square, quality)


def smaller_jpeg(data: bytes, *, max_pixels: int, quality: int = 90) -> bytes:
    """Return the whole image, in its own aspect, as a JPEG of at most ``max_pixels``. Raises UnreadableImage."""
    return _jpeg(smaller_rgb(data, max_pixels=max_pixels), quality)


def smaller_rgb(data: bytes, *, max_pixels: int) -> Image.Image:
    """Return the whole image, in its own aspect and of at most ``max_pixels``, as open_rgb does."""
    with readable(data) as image:
        scale = min(1.0, math.sqrt(max_pixels / (image.width * image.height)))
        pixels = on_white(shrunk(image, max(1, int(1 / (2 * scale)))))
        size = (max(1, int(image.width * scale)), max(1, int(image.height * scale)))
    if (pixels.width > pixels.height) != (size[0] > size[1]):  # turned upright
        size = size[::-1]
    return pixels.resize(size, Image.Resampling.BICUBIC)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
    return buffer.getvalue()


@contextmanager
def readable(data: bytes) -> Iterator[Image.Image]:
    """Open ``data``, header only, and turn whatever Pillow raises until the block ends into UnreadableImage."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            yield image
    except UnreadableImage:
        raise
    except MemoryError as error:
        raise UnreadableImage("decode_memory", "out of memory") from error
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, struct.error, IndexError, ...
        raise UnreadableImage(reason_for(error, data), detail_of(error)) from error


def shrunk(image: Image.Image, factor: int = 1) -> Image.Image:
    """Decode an image that ``readable`` opened: mode RGB or RGBA, upright, in sRGB, each side 1/``factor`` or more."""
    full = image.size
    if factor > 1:
        # libjpeg decodes at 1/2, 1/4 or 1/8 for a fraction of the price; other formats ignore this.
        image.draft(image.mode, (full[0] // factor, full[1] // factor))
    orientation, profile = _orientation(image), image.info.get("icc_profile")
    pixels = _in_rgb(image)
    rest = factor // max(1, round(full[0] / pixels.width))
    pixels = pixels.reduce(rest) if rest > 1 else pixels
    pixels = _in_srgb(pixels, profile) if profile else pixels
    return pixels.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else pixels


def on_white(image: Image.Image) -> Image.Image:
    """Return an RGB or RGBA image as RGB on white, without metadata (a comment would leak into what is saved)."""
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image.getchannel("A") if image.mode == "RGBA" else None)
    return white


def _in_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # 16-bit grey: convert() would clip at 255, and nearly everything would come out white.
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # broken EXIF is common, says nothing of the pixels, and fails in a dozen ways
        return 1


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Return ``image`` in sRGB; as it is if its profile is sRGB already, broken, or not for RGB."""
    if b"sRGB" in profile or b"s\x00R\x00G\x00B" in profile:
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != "RGB":
            return image
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"))
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return image
    return converted or image


def _without_excess(size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the middle part that keeps to MAX_ASPECT: left, upper, right and lower edge."""
    width, height = size
    kept = min(width, MAX_ASPECT * height), min(height, MAX_ASPECT * width)
    left, upper = (width - kept[0]) // 2, (height - kept[1]) // 2
    return left, upper, left + kept[0], upper + kept[1]
