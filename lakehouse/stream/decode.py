"""Decodes the JPEGs of ``gold.training`` straight into their place in a batch.

OpenCV may see these bytes because this engine made them: ``publish_gold`` re-encodes every image. Bytes that others
made must never come here, as files exist that crash or hang it.
"""

from collections.abc import Callable

import cv2
import numpy as np

from lakehouse.stream.batch import Pixels

# The field resizes the short side to 256 for a crop of 224.
_SHORT_SIDE_PER_CROP = 8 / 7
# A crop that shows less than this share of the short side is not the picture that its text describes.
_LARGEST_SHORT_SIDE_PER_CROP = 1.25
_JPEG = b"\xff\xd8\xff"
_FLAGS = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION

Decoder = Callable[[Pixels, Pixels, float, float], str | None]


def decode_crop(encoded: Pixels, place: Pixels, down: float, right: float) -> str | None:
    """Fill ``place`` (side, side, 3) with a square crop of the image; return None, or what is wrong with the image.

    ``down`` and ``right``, in [0, 1), say where between the borders the crop lies; 0.5 is the middle. An image whose
    short side is from 1 to 1.25 times the crop is cropped as it is; any other is first resized to 8/7 of the crop, or
    to the crop where it is smaller.
    """
    if encoded[:3].tobytes() != _JPEG:
        return f"not a JPEG: {len(encoded)} bytes that begin with {encoded[:3].tobytes()!r}"
    try:
        image = cv2.imdecode(encoded, _FLAGS)
    except cv2.error as error:
        return str(error)
    if image is None:
        return f"no image in {len(encoded)} bytes of JPEG"
    side = place.shape[0]
    image = _resized(image, side)
    top, left = int(down * (image.shape[0] - side + 1)), int(right * (image.shape[1] - side + 1))
    place[...] = image[top : top + side, left : left + side]
    return None


def _resized(image: Pixels, side: int) -> Pixels:
    height, width = image.shape[:2]
    short = min(height, width)
    if side <= short <= side * _LARGEST_SHORT_SIDE_PER_CROP:
        return image
    wanted = side if short < side else round(side * _SHORT_SIDE_PER_CROP)
    size = (max(wanted, round(width * wanted / short)), max(wanted, round(height * wanted / short)))
    method = cv2.INTER_CUBIC if short < side else cv2.INTER_AREA
    return np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)
