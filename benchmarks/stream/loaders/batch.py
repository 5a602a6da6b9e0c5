"""A batch, and how every loader decodes one: simplejpeg, as ours, and a random square, by so many threads."""

import random
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any, Final, NamedTuple

import numpy as np
import simplejpeg
import torch
from torch.utils.data import DataLoader, get_worker_info

BATCH: Final = 256
SIDE: Final = 224
STORED_SIDE: Final = 256
_ROWS_A_JOB: Final = 16

_scratch = threading.local()


class Batch(NamedTuple):
    """``image`` is uint8, of shape (rows, 224, 224, 3) or (rows, 3, 224, 224)."""

    image: Any
    text: Sequence[str]
    sample_id: Sequence[str]


def crop(encoded: Any) -> Any:
    """Return a random square of an encoded image: (224, 224, 3), which this thread's next image overwrites."""
    if not hasattr(_scratch, "memory"):
        _scratch.memory = np.empty((STORED_SIDE, STORED_SIDE, 3), np.uint8)
    image = np.asarray(simplejpeg.decode_jpeg(np.frombuffer(encoded, np.uint8), "RGB", buffer=_scratch.memory))
    top, left = random.randint(0, image.shape[0] - SIDE), random.randint(0, image.shape[1] - SIDE)
    return image[top : top + SIDE, left : left + SIDE]


def collate(rows: Sequence[Mapping[str, Any]], *, threads: int) -> Batch:
    """Return rows with an encoded ``image``, a ``text`` and a ``sample_id`` as a batch."""
    images = [row["image"] for row in rows]
    return Batch(decoded(images, threads), [row["text"] for row in rows], [row["sample_id"] for row in rows])


def decoded(images: Sequence[Any], threads: int) -> torch.Tensor:
    """Return random squares of encoded images, decoded straight into their place in a tensor."""
    tensor = _tensor(len(images))
    places = tensor.numpy()

    def decode(begin: int) -> None:
        for at in range(begin, min(begin + _ROWS_A_JOB, len(images))):
            places[at] = crop(images[at])

    begins = range(0, len(images), _ROWS_A_JOB)
    for _ in map(decode, begins) if threads == 1 else _crew(threads).map(decode, begins):
        pass
    return tensor


def _tensor(rows: int) -> torch.Tensor:
    shape = (rows, SIDE, SIDE, 3)
    if get_worker_info() is None:
        return torch.empty(shape, dtype=torch.uint8)
    # In a worker, as torch's own default_collate does: into shared memory at once, which saves a copy.
    size = rows * SIDE * SIDE * 3
    return torch.empty(0, dtype=torch.uint8).set_(_shared(size)).resize_(shape)


def _shared(size: int) -> torch.UntypedStorage:
    storage: torch.UntypedStorage = torch.UntypedStorage._new_shared(size)  # type: ignore[no-untyped-call]
    return storage


@cache
def _crew(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)


def loading(dataset: Any, *, workers: int, threads: int, **options: Any) -> "DataLoader[Any]":
    """Return torch's DataLoader of a data set of rows; each worker decodes with so many threads."""
    return DataLoader(
        dataset, batch_size=BATCH, num_workers=workers, collate_fn=partial(collate, threads=threads), **options
    )
