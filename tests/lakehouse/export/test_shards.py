"""Shards share the rows out: every row once, in order, in files of a given size."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.export.shards import cut


@given(rows=st.lists(st.integers(0, 20), max_size=30), most=st.integers(1, 50))
def test_every_row_is_in_one_shard_in_order(rows: list[int], most: int) -> None:
    shards = cut(np.array(rows, np.int64), most=most)
    found = [(piece.group, row) for shard in shards for piece in shard.pieces for row in range(piece.start, piece.stop)]
    assert found == [(group, row) for group, count in enumerate(rows) for row in range(count)]
    assert [shard.number for shard in shards] == list(range(len(shards)))


@given(rows=st.lists(st.integers(0, 20), min_size=1, max_size=30), most=st.integers(1, 50))
def test_every_shard_but_the_last_is_full(rows: list[int], most: int) -> None:
    lengths = [len(shard) for shard in cut(np.array(rows, np.int64), most=most)]
    assert all(length == most for length in lengths[:-1])
    assert all(0 < length <= most for length in lengths)
