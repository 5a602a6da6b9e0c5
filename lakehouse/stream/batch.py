"""What a trainer gets: a batch, in memory that is used again only when nobody holds it."""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

Pixels = npt.NDArray[np.uint8]
TagForm = Literal["lists", "padded", "multi_hot"]

_HOLDERS_WHEN_FREE = 2
"""The pool's own list, and the argument of ``sys.getrefcount``, are two; a loop variable would be one more."""


@dataclass(frozen=True)
class Batch:
    """Rows of a release, place by place.

    Attributes:
        image: uint8, RGB, shape (rows, 3, side, side), in torch's ``channels_last`` memory format
        text: the text that the mix chose
        negative_text: a text that is false of the image, None where the row has none
        tag_ids: positive tags as positions in the release's vocabulary, ascending
        sample_id: keys of the rows
        tags: the tags as the tensor that was asked for, else None: ``padded`` is int64 (rows, tags of the row with the
            most), filled up with -1; ``multi_hot`` is bool (rows, tags of the vocabulary)
    """

    image: "torch.Tensor"
    text: list[str]
    negative_text: list[str | None]
    tag_ids: list[npt.NDArray[np.int32]]
    sample_id: list[str]
    tags: "torch.Tensor | None" = None

    def __len__(self) -> int:
        return len(self.sample_id)


class PixelPool:
    """Hands out uint8 arrays, and the same memory again once no array, tensor or view of it is left.

    Fresh memory for every batch costs a page fault every 4 kB: a quarter of the decoding rate at 256 x 224 x 224.
    """

    def __init__(self, *, shape: tuple[int, ...], most: int, is_pinned: bool = False) -> None:
        self._shape = shape
        self._most = most
        self._is_pinned = is_pinned
        self._arrays: list[Pixels] = []

    def take(self) -> Pixels:
        """Return an array of undefined content that nobody else holds."""
        for index in range(len(self._arrays)):
            if sys.getrefcount(self._arrays[index]) <= _HOLDERS_WHEN_FREE:
                return self._arrays[index]
        array = _pinned(self._shape) if self._is_pinned else np.empty(self._shape, np.uint8)
        if len(self._arrays) < self._most:
            self._arrays.append(array)
        return array


def _pinned(shape: tuple[int, ...]) -> Pixels:
    """Return memory that a GPU copies from without the processor."""
    import torch

    return np.asarray(torch.empty(shape, dtype=torch.uint8, pin_memory=True).numpy(), np.uint8)
