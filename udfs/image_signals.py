"""What can be measured of an image without a model, all from one decode at no more than 256 pixels."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from udfs.colours import main_colours
from udfs.images import on_white, readable, shrunk

SIDE = 256
"""Longer side at which everything is measured; a smaller image is not enlarged."""

_HASH_SIDE = 32
_HASH_BITS = 8


@dataclass(frozen=True)
class ImageSignals:
    """The image columns of silver.signals. Width and height are before any rotation that EXIF asks for."""

    width: int
    height: int
    aspect: float
    entropy: float
    sharpness: float
    flat_share: float
    alpha_share: float
    colours: tuple[str, ...]
    mean_rgb: tuple[int, int, int]
    phash: int


def image_signals(data: bytes) -> ImageSignals:
    """Return what is measured of an encoded image that udfs.image_check has passed.

    ``colours`` are those of the pixels that are more than half opaque: the white behind a cut-out is no colour of it,
    and an image that cannot be seen has none. Raises udfs.images.UnreadableImage.
    """
    with readable(data) as image:
        width, height = image.size
        visible = _at_side(shrunk(image, max(width, height) // SIDE))
    flat = on_white(visible)
    grey = flat.convert("L")
    rgb = np.asarray(flat).reshape(-1, 3)
    drawn = rgb[np.asarray(visible.getchannel("A")).ravel() >= 128] if visible.mode == "RGBA" else rgb
    return ImageSignals(
        width=width,
        height=height,
        aspect=max(width, height) / max(1, min(width, height)),
        entropy=entropy(grey),
        sharpness=sharpness(np.asarray(grey)),
        flat_share=flat_share(rgb),
        alpha_share=1 - len(drawn) / len(rgb),
        colours=main_colours(drawn),
        mean_rgb=mean_rgb(flat),
        phash=perceptual_hash(grey),
    )


def _at_side(image: Image.Image) -> Image.Image:
    scale = SIDE / max(image.size)
    if scale >= 1:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BILINEAR)


def entropy(grey: Image.Image) -> float:
    """Return the Shannon entropy of the histogram of an image of mode L, in bits, 0 to 8."""
    shares = np.array(grey.histogram()) / (grey.width * grey.height)
    shares = shares[shares > 0]
    return max(0.0, float(-(shares * np.log2(shares)).sum()))


def sharpness(grey: NDArray[np.uint8]) -> float:
    """Return the variance of the Laplacian (4 neighbours, edges repeated) of ``grey``."""
    padded = np.pad(grey.astype(np.int32), 1, mode="edge")
    neighbours = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    return float((neighbours - 4 * padded[1:-1, 1:-1]).var())


def flat_share(rgb: NDArray[np.uint8]) -> float:
    """Return the share of the most frequent colour of ``rgb`` (n x 3), told apart by the upper 4 bits of a channel."""
    steps = rgb.astype(np.int32) >> 4
    counts = np.bincount((steps[:, 0] << 8) | (steps[:, 1] << 4) | steps[:, 2])
    return float(counts.max() / len(steps))


def mean_rgb(image: Image.Image) -> tuple[int, int, int]:
    """Return the mean red, green and blue of an image of mode RGB, 0 to 255, rounded half up."""
    levels, pixels = np.arange(256), image.width * image.height
    sums = np.array(image.histogram()).reshape(3, 256) @ levels
    red, green, blue = ((2 * sums + pixels) // (2 * pixels)).tolist()
    return red, green, blue


def perceptual_hash(grey: Image.Image) -> int:
    """Return the 64-bit DCT hash of an image of mode L, as a signed number.

    The image becomes 32 x 32; of its DCT-II the 8 x 8 lowest frequencies count, row by row (vertical frequency, then
    horizontal), the first in the sign bit. A bit is set where the coefficient is over the median of the 64. The
    arithmetic is exact, so that the same pixels give the same hash on any machine; re-encoding moves a few bits.
    """
    small = np.asarray(grey.resize((_HASH_SIDE, _HASH_SIDE), Image.Resampling.BILINEAR), dtype=np.float64)
    low = (_cosines() @ small @ _cosines().T).ravel()
    bits = np.packbits(low > np.median(low)).tobytes()
    return int.from_bytes(bits, "big", signed=True)


@cache
def _cosines() -> NDArray[np.float64]:
    """Return the first 8 rows of the DCT-II matrix of size 32, in whole 4096ths.

    Whole numbers: with fractions, coefficients that are equal by symmetry would differ by how a machine rounds.
    """
    frequency, place = np.indices((_HASH_BITS, _HASH_SIDE))
    cosines: NDArray[np.float64] = np.rint(4096 * np.cos(np.pi * frequency * (2 * place + 1) / (2 * _HASH_SIDE)))
    return cosines
