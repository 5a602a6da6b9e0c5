"""What of an image a batch shows, drawn for each row: crops under the field's names, and mirroring."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from lakehouse.errors import StreamError
from lakehouse.stream.hashing import Hashes, fractions, salted

CropName = Literal["random", "center", "random_resized"]

_DOWN, _RIGHT, _AREA, _ASPECT, _MIRROR = 13, 14, 15, 16, 17
# Any word that begins so: a file name (arrow_left.png) and a compound (lefthanded) name a side too.
_SIDES: Final = re.compile(r"(?<![^\W_])(?:left|right)", re.IGNORECASE)


class View(NamedTuple):
    """A window into one image.

    Attributes:
        down, right: where between the borders it lies, in [0, 1); 0.5 is the middle
        is_mirrored: whether left and right change places
        area: its share of the image, from above 0 to 1; None for a square of the batch's own size
        aspect: width through height, where it has an ``area``
    """

    down: float
    right: float
    is_mirrored: bool = False
    area: float | None = None
    aspect: float = 1.0


class Crop(Protocol):
    """Draws the window of each row from the row's key."""

    def windows(self, keys: Hashes) -> npt.NDArray[np.float64]:
        """Return, a row a line: down, right, and, where windows vary in size, area and aspect."""


@dataclass(frozen=True)
class RandomCrop:
    """A square of the batch's size, anywhere."""

    def windows(self, keys: Hashes) -> npt.NDArray[np.float64]:
        """Return down and right."""
        return np.stack([fractions(salted(keys, _DOWN)), fractions(salted(keys, _RIGHT))], axis=1)


@dataclass(frozen=True)
class CenterCrop:
    """A square of the batch's size, in the middle."""

    def windows(self, keys: Hashes) -> npt.NDArray[np.float64]:
        """Return down and right."""
        return np.full((len(keys), 2), 0.5)


@dataclass(frozen=True)
class RandomResizedCrop:
    """A window of varying size and shape, anywhere, scaled to the batch's size; the defaults are open_clip's.

    ``scale`` bounds its share of the image's area, ``ratio`` its width through its height. A window that would not
    fit is as wide or as high as the image.
    """

    scale: tuple[float, float] = (0.9, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)

    def __post_init__(self) -> None:
        if not (0 < self.scale[0] <= self.scale[1] <= 1 and 0 < self.ratio[0] <= self.ratio[1]):
            raise StreamError(f"bad {self}: expected 0 < scale <= 1 and 0 < ratio, the lower bound first")

    def windows(self, keys: Hashes) -> npt.NDArray[np.float64]:
        """Return down, right, area and aspect; the aspect is even in its logarithm."""
        area = _between(*self.scale, fractions(salted(keys, _AREA)))
        low, high = map(math.log, self.ratio)
        aspect = np.exp(_between(low, high, fractions(salted(keys, _ASPECT))))
        return np.concatenate([RandomCrop().windows(keys), np.stack([area, aspect], axis=1)], axis=1)


CROPS: Final[Mapping[str, Callable[[], Crop]]] = {
    "random": RandomCrop,
    "center": CenterCrop,
    "random_resized": RandomResizedCrop,
}


def crop_of(crop: str | Crop) -> Crop:
    """Return the crop of a name, or the crop that was given."""
    if not isinstance(crop, str):
        return crop
    if crop not in CROPS:
        raise StreamError(f"unknown crop {crop!r}: expected one of {', '.join(map(repr, CROPS))}")
    return CROPS[crop]()


def views(crop: Crop, keys: Hashes, is_mirrored: Sequence[bool]) -> list[View]:
    """Return the window of every row."""
    down, right, *size = crop.windows(keys).T.tolist()
    return list(map(View, down, right, is_mirrored, *size))


def mirrored(keys: Hashes, *texts: Sequence[str | None]) -> list[bool]:
    """Return for every row whether to mirror it: half of the rows, but none of which a text says left or right.

    ``texts`` are columns of the rows' texts, true and false ones: either would change sides with the image. Tags are
    numbers here, and are not looked at.
    """
    is_drawn = (fractions(salted(keys, _MIRROR)) < 0.5).tolist()
    return [
        drawn and not any(text and _SIDES.search(text) for text in row)
        for drawn, row in zip(is_drawn, zip(*texts, strict=True), strict=True)
    ]


def _between(low: float, high: float, at: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return low + (high - low) * at
