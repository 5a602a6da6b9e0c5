"""Which rows of a release each file of an export holds: known before anything is read, so that files can be missing."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Piece:
    """Neighbouring rows of one row group: ``start`` and ``stop`` count the rows of it that the release has."""

    group: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Shard:
    """One file: its number, and its rows in order."""

    number: int
    pieces: tuple[Piece, ...]

    def __len__(self) -> int:
        return sum(map(len, self.pieces))


def cut(rows: npt.NDArray[np.int64], *, most: int) -> list[Shard]:
    """Return shards of ``most`` rows each, the last of what is left, over row groups that have ``rows`` rows.

    >>> [len(shard) for shard in cut(np.array([3, 0, 4]), most=5)]
    [5, 2]
    """
    bounds = np.concatenate(([0], np.cumsum(rows))).astype(np.int64)
    begins = range(0, int(bounds[-1]), most)
    return [Shard(number, tuple(_pieces(bounds, begin, begin + most))) for number, begin in enumerate(begins)]


def _pieces(bounds: npt.NDArray[np.int64], begin: int, end: int) -> Iterator[Piece]:
    first = int(np.searchsorted(bounds, begin, side="right")) - 1
    for group in range(first, len(bounds) - 1):
        low, high = int(bounds[group]), int(bounds[group + 1])
        if low >= end:
            return
        if low < high:
            yield Piece(group, max(begin, low) - low, min(end, high) - low)
