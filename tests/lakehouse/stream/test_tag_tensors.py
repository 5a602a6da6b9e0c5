"""Tags as tensors."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.stream.tag_tensors import Tags, tags_as

ROWS = st.lists(st.lists(st.integers(-2, 12), unique=True).map(sorted), max_size=6)


def arrays(rows: list[list[int]]) -> list[Tags]:
    return [np.array(row, np.int32) for row in rows]


@given(ROWS)
def test_a_padded_row_holds_its_tags(rows: list[list[int]]) -> None:
    tensor = tags_as("padded", arrays(rows), 10)
    assert isinstance(tensor, torch.Tensor)
    known = [[tag for tag in row if 0 <= tag < 10] for row in rows]
    assert [[tag for tag in row if tag >= 0] for row in tensor.tolist()] == known
    assert tensor.shape == (len(rows), max(map(len, known), default=0))


@given(ROWS)
def test_hot_places_are_the_tags(rows: list[list[int]]) -> None:
    tensor = tags_as("multi_hot", arrays(rows), 10)
    assert isinstance(tensor, torch.Tensor)
    assert tensor.shape == (len(rows), 10)
    assert [row.nonzero()[:, 0].tolist() for row in tensor] == [[tag for tag in row if 0 <= tag < 10] for row in rows]


def test_lists_need_no_tensor() -> None:
    assert tags_as("lists", arrays([[3, 99], []]), 10) is None
