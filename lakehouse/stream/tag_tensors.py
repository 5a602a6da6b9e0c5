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
    return multi_hot(rows, tag_count) if form == "multi_hot" else padded(rows, tag_count)


def multi_hot(rows: Sequence[Tags], tag_count: int) -> Tensor:
    """Return bool (rows, tag_count): True at the tags of each row.

    >>> multi_hot([np.array([0, 2, 9], np.int32), np.array([], np.int32)], 3).tolist()
    [[True, False, True], [False, False, False]]
    """
    hot = np.zeros((len(rows), tag_count), np.bool_)
    hot[_places(rows, tag_count)] = True
    return torch.from_numpy(hot)


def padded(rows: Sequence[Tags], tag_count: int) -> Tensor:
    """Return int64 (rows, most tags of a row): the tags of each row, then -1.

    >>> padded([np.array([0, 2, 9], np.int32), np.array([1], np.int32)], 3).tolist()
    [[0, 2], [1, -1]]
    """
    row, tag = _places(rows, tag_count)
    counts = np.bincount(row, minlength=len(rows))
    filled = np.full((len(rows), int(counts.max(initial=0))), NO_TAG, np.int64)
    filled[row, np.arange(len(row)) - (counts.cumsum() - counts)[row]] = tag
    return torch.from_numpy(filled)


def _places(rows: Sequence[Tags], tag_count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the row and the tag of each tag that the vocabulary knows."""
    row = np.repeat(np.arange(len(rows)), [len(tags) for tags in rows])
    tag = np.concatenate([*rows, np.empty(0, np.int32)]).astype(np.int64)
    is_known = (tag >= 0) & (tag < tag_count)
    return row[is_known], tag[is_known]
