"""A count of batches is a place in the stream, in whatever epoch, and whoever reads."""

from itertools import chain
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.stream import CaptionStream, World
from lakehouse.stream.places import batches, go_to, place_of
from tests.lakehouse.stream.lakes import Lake, flip_a_byte, ids_of


def stream_of(lake: Lake, **options: Any) -> CaptionStream:
    given_options = {"release": "demo", "batch_size": 16, "image_size": 32, "threads": 1, **options}
    return CaptionStream(lake.path, **given_options)


@settings(deadline=None, max_examples=6)
@given(first=st.integers(0, 9), count=st.integers(1, 9), drop_last=st.booleans())
def test_batches_are_those_that_loops_over_epochs_give(lake: Lake, first: int, count: int, drop_last: bool) -> None:
    stream = stream_of(lake, batch_size=50, drop_last=drop_last)
    looped = [batch.sample_id for _ in range(-(-(first + count) // len(stream))) for batch in stream]
    taken = [batch.sample_id for batch in batches(stream_of(lake, batch_size=50, drop_last=drop_last), first, count)]
    assert taken == looped[first : first + count]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_place_is_where_one_went(lake: Lake, size: int) -> None:
    stream = stream_of(lake, world=World(0, size))
    for batch in (0, 1, len(stream) - 1, len(stream), 3 * len(stream) + 2):
        go_to(stream, batch)
        assert place_of(stream) == batch


def test_processes_share_what_was_taken(lake: Lake) -> None:
    taken = [list(batches(stream_of(lake, world=World(rank, 2)), 4, 3)) for rank in range(2)]
    together = ids_of(chain(*taken))
    assert len(together) == len(set(together)) == 2 * 3 * 16


def test_what_an_epoch_leaves_out_at_its_end_is_counted(lake: Lake) -> None:
    stream = stream_of(lake, batch_size=50)
    assert len(list(batches(stream, 0, len(stream)))) == 5
    assert stream.counters.tail == 20


def test_a_batch_that_cannot_be_read_is_missing(make_lake: Any) -> None:
    lake = make_lake(96, files=1)
    for group in range(6):
        if group != 2:
            flip_a_byte(lake.files[0], row_group=group, column="image")
    taken = list(batches(stream_of(lake, batch_size=4, shuffle=False), 0, 10))
    assert 0 < len(taken) < 10
