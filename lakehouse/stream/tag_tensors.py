"""Tags of rows as a tensor: as many hot places as there are tags, or lists filled up to one length."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lakehouse.stream.batch import TagForm

Tags = npt.NDArray[np.int32]

NO_TAG: Final = -1
"""Stands behind the last tag of a row that has fewer than the row with the most."""


def tags_as(form: TagForm, rows: Sequence[Tags], tag_count: int) -> Tensor | None:
    """Return the tags of the rows as ``form`` says, None for lists; tags beyond the ``tag_count`` first are left out.

    ``padded`` is int64 (rows, tags of the row with the most), filled up with -1; ``multi_hot`` is bool
    (rows, tag_count).
    """
    if form == "lists":
        return None
    row, tag = _places(rows, tag_count)
    return multi_hot(row, tag, (len(rows), tag_count)) if form == "multi_hot" else padded(row, tag, len(rows))


def multi_hot(row: npt.NDArray[np.int64], tag: npt.NDArray[np.int64], shape: tuple[int, int]) -> Tensor:
    """Return bool of ``shape``: True at each row and tag."""
    hot = np.zeros(shape, np.bool_)
    hot[row, tag] = True
    return torch.from_numpy(hot)


def padded(row: npt.NDArray[np.int64], tag: npt.NDArray[np.int64], rows: int) -> Tensor:
    """Return int64 (rows, most tags of a row): the tags of each row, then -1."""
    counts = np.bincount(row, minlength=rows)
    filled = np.full((rows, int(counts.max(initial=0))), NO_TAG, np.int64)
    filled[row, np.arange(len(row)) - (counts.cumsum() - counts)[row]] = tag
    return torch.from_numpy(filled)


def _places(rows: Sequence[Tags], tag_count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    row = np.repeat(np.arange(len(rows)), [len(tags) for tags in rows])
    tag = np.concatenate([*rows, np.empty(0, np.int32)]).astype(np.int64)
    is_known = (tag >= 0) & (tag < tag_count)
    return row[is_known], tag[is_known]
