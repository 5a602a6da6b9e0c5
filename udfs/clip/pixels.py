"""Images of others as a CLIP sees them: checked in a child process, then a square of pixels."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from lakehouse.errors import BadInput
from udfs.clip.encoder import Encoder, Features
from udfs.clip.look import Look
from udfs.image_check import ImageChecker
from udfs.images import UnreadableImage, open_rgb

MOST_UNREADABLE: Final = 0.05
"""Share of a suite's images that may be left out; with more, its figures are those of another suite."""

_NAMED: Final = 3


def square(data: bytes, look: Look) -> Tensor:
    """Return uint8 (3, side, side) as ``preprocessor_config.json`` has it: the middle cut, or the whole squeezed.

    For bytes that ``udfs.image_check`` has passed. Raises UnreadableImage.
    """
    image, size = open_rgb(data, at_least=look.side), (look.side, look.side)
    fitted = (
        ImageOps.fit(image, size, Image.Resampling.BICUBIC)
        if look.is_cropped
        else image.resize(size, Image.Resampling.BICUBIC)
    )
    return torch.from_numpy(np.array(fitted)).permute(2, 0, 1)


def embed_foreign(encoder: Encoder, images: Iterable[tuple[str, bytes | None]]) -> Features:
    """Return the features of ``images``, name and bytes, None for a file that is too large.

    What cannot be read has no place in them, and a note says so. Raises BadInput where that is more than
    ``MOST_UNREADABLE`` of all.
    """
    unread: dict[str, str] = {}
    places: dict[str, int] = {}
    pixels = _readable(images, encoder.model.look, unread)

    def batches() -> Iterator[Tensor]:
        while chunk := list(islice(pixels, encoder.batch_size)):
            for name, _ in chunk:
                places[name] = len(places)
            yield torch.stack([one for _, one in chunk])

    values, said = encoder.images(batches()), told(unread, len(unread) + len(places))
    if len(unread) > MOST_UNREADABLE * (len(unread) + len(places)):
        raise BadInput(f"{said}: expected at most {MOST_UNREADABLE:.0%}")
    if unread:
        print(f"note: {said}, and are left out", file=sys.stderr)
    return Features(values, places)


def told(unread: Mapping[str, str], images: int) -> str:
    """Return in words how many images could not be read, and which.

    >>> told({"a.jpg": "not_an_image"}, 40)
    "1 of 40 images cannot be read ('a.jpg': not_an_image)"
    """
    named = ", ".join(f"{name!r}: {reason}" for name, reason in islice(unread.items(), _NAMED))
    more = ", ..." if len(unread) > _NAMED else ""
    return f"{len(unread)} of {images} images cannot be read ({named}{more})"


def _readable(
    images: Iterable[tuple[str, bytes | None]], look: Look, unread: dict[str, str]
) -> Iterator[tuple[str, Tensor]]:
    with ImageChecker() as checker:
        for name, data in images:
            reason = "too_many_bytes" if data is None else checker.check(data).reason
            if data is None or reason is not None:
                unread[name] = reason or ""
                continue
            try:
                yield name, square(data, look)
            except UnreadableImage as error:
                unread[name] = error.reason
