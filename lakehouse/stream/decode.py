"""Decodes the JPEGs of ``gold.training`` straight into their place in a batch.

They are this engine's own: ``publish_gold`` re-encodes every image. Bytes that others made must never come here, as
files exist that crash or hang decoders. simplejpeg gives the pixels that OpenCV gives, in about
a tenth less time (decision 18).
"""

import math
import threading
from typing import Final

import cv2
import numpy as np
import simplejpeg

from lakehouse.stream.augment import View
from lakehouse.stream.batch import Pixels

# The field resizes the short side to 256 for a crop of 224.
_SHORT_SIDE_PER_CROP: Final = 8 / 7
# A crop that shows less than this share of the short side is not the picture that its text describes.
_LARGEST_SHORT_SIDE_PER_CROP: Final = 1.25
_JPEG: Final = b"\xff\xd8\xff"
# A damaged header may ask for gigabytes; publish_gold makes nothing near this.
_MOST_PIXELS: Final = 1 << 26

_scratch = threading.local()


def decode_view(encoded: Pixels, place: Pixels, view: View) -> str | None:
    """Fill ``place`` (side, side, 3) with the view's part of the image; return None, or what is wrong with the image.

    A view with an area is cut out and scaled to the square. For one without, an image whose short side is from 1 to
    1.25 times the square is cropped as it is; any other is first resized to 8/7 of the square, or to the square where
    it is smaller.
    """
    if encoded[:3].tobytes() != _JPEG:
        return f"not a JPEG: {len(encoded)} bytes that begin with {encoded[:3].tobytes()!r}"
    try:
        image = _decoded(encoded)
    except ValueError as error:
        return f"no image in {len(encoded)} bytes of JPEG: {error}"
    side = place.shape[0]
    if view.area is None:
        shown = _cut(_resized(image, side), side, side, view)
    else:
        shown = _scaled(_cut(image, *_window(image, view.area, view.aspect), view), (side, side))
    if view.is_mirrored:
        cv2.flip(shown, 1, dst=place)
    else:
        place[...] = shown
    return None


def _decoded(encoded: Pixels) -> Pixels:
    """Return the pixels, in memory of this thread that the next image overwrites; truncated data raise ValueError."""
    height, width, _, _ = simplejpeg.decode_jpeg_header(encoded)
    if height * width > _MOST_PIXELS:
        raise ValueError(f"{width} by {height} pixels are more than an image of training size has")
    if getattr(_scratch, "size", 0) < height * width * 3:
        _scratch.size = height * width * 3
        _scratch.memory = np.empty(_scratch.size, np.uint8)
    return np.asarray(simplejpeg.decode_jpeg(encoded, "RGB", buffer=_scratch.memory), np.uint8)


def _cut(image: Pixels, height: int, width: int, view: View) -> Pixels:
    top = int(view.down * (image.shape[0] - height + 1))
    left = int(view.right * (image.shape[1] - width + 1))
    return image[top : top + height, left : left + width]


def _window(image: Pixels, area: float, aspect: float) -> tuple[int, int]:
    """Return height and width of a window of that area and aspect, less wide or high where it would not fit."""
    height, width = image.shape[:2]
    pixels = area * height * width
    return (
        min(height, max(1, round(math.sqrt(pixels / aspect)))),
        min(width, max(1, round(math.sqrt(pixels * aspect)))),
    )


def _scaled(image: Pixels, size: tuple[int, int]) -> Pixels:
    """Return the image in another size, given as width and height."""
    method = cv2.INTER_AREA if size[0] < image.shape[1] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)


def _resized(image: Pixels, side: int) -> Pixels:
    height, width = image.shape[:2]
    short = min(height, width)
    if side <= short <= side * _LARGEST_SHORT_SIDE_PER_CROP:
        return image
    wanted = side if short < side else round(side * _SHORT_SIDE_PER_CROP)
    return _scaled(image, (max(wanted, round(width * wanted / short)), max(wanted, round(height * wanted / short))))
