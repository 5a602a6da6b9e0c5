"""What a stream promises: every row once, the same order for the same seed, and a place to go on from."""

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.errors import StreamError
from lakehouse.stream import Mix
from lakehouse.stream.checks import NOT_TEXTS
from schemas.gold import TEXTS, TRAINING
from tests.lakehouse.stream.conftest import MakeLake
from tests.lakehouse.stream.lakes import (
    Lake,
    ids_of,
    sample_id,
    training_rows,
    write_release,
)
from tests.lakehouse.stream.streams import content, stream_of, worlds

# every row once


@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("threads", [1, 3])
def test_an_epoch_has_every_row_once(lake: Lake, size: int, threads: int) -> None:
    found = [ids_of(stream) for stream in worlds(lake, size, threads=threads, batch_size=5, drop_last=False)]
    tail = 270 % size
    together = sorted(itertools.chain(*found))
    assert len(together) == len(set(together)) == 270 - tail
    assert set(together) <= set(lake.train_ids)
    assert len({len(ids) for ids in found}) == 1


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**62), epoch=st.integers(0, 1000), batch_size=st.integers(1, 270), lanes=st.integers(1, 40))
def test_every_row_comes_once_whatever_the_seed(lake: Lake, seed: int, epoch: int, batch_size: int, lanes: int) -> None:
    stream = stream_of(lake, seed=seed, batch_size=batch_size, lanes=lanes, drop_last=False)
    stream.set_epoch(epoch)
    assert sorted(ids_of(stream)) == lake.train_ids


def test_all_batches_are_full_unless_asked_otherwise(lake: Lake) -> None:
    stream = stream_of(lake, batch_size=32)
    assert [len(batch) for batch in stream] == [32] * 8
    assert (len(stream), stream.counters.rows, stream.counters.tail) == (8, 256, 14)


def test_the_last_batch_is_equal_on_all_processes(lake: Lake) -> None:
    streams = worlds(lake, 4, batch_size=30, drop_last=False)
    assert [[len(batch) for batch in stream] for stream in streams] == [[30, 30, 7]] * 4
    assert [stream.counters.tail for stream in streams] == [2] * 4


def test_the_other_split_is_streamed_when_asked_for(lake: Lake) -> None:
    stream = stream_of(lake, split="held_out", drop_last=False, shuffle=False)
    assert ids_of(stream) == [sample_id(number) for number in range(9, 300, 10)]


def test_rows_outside_the_predicate_do_not_come(make_lake: MakeLake) -> None:
    rows = [number for number in range(300) if number % 10 != 9 and 100 <= number * 7 % 1000 < 500]
    lake = make_lake(300, predicate="bucket >= 100 AND bucket < 500", train_rows=len(rows))
    assert sorted(ids_of(stream_of(lake, drop_last=False))) == sorted(sample_id(row) for row in rows)


def test_deleted_rows_do_not_come(make_lake: MakeLake) -> None:
    gone = {sample_id(number) for number in (0, 17, 150)}
    lake = make_lake(300, deleted={0: [0, 17], 1: [50]}, train_rows=267)
    assert sorted(ids_of(stream_of(lake, drop_last=False))) == sorted(set(lake.train_ids) - gone)


def test_a_table_that_deltalake_wrote_is_streamed(tmp_path: Path) -> None:
    rows = training_rows(100)
    deltalake.write_deltalake(str(tmp_path / "gold" / "training"), rows)
    write_release(tmp_path, rows)
    lake = Lake(tmp_path, (), rows)
    assert sorted(ids_of(stream_of(lake, drop_last=False))) == lake.train_ids


def test_rows_added_after_the_release_do_not_come(make_lake: MakeLake) -> None:
    lake = make_lake(100)
    later = training_rows(120).slice(100)
    deltalake.write_deltalake(str(lake.path / "gold" / "training"), later, mode="append")
    assert sorted(ids_of(stream_of(lake, drop_last=False))) == lake.train_ids


def test_a_text_column_that_is_younger_than_a_file_is_missing_there(tmp_path: Path) -> None:
    rows, table = training_rows(100), str(tmp_path / "gold" / "training")
    deltalake.write_deltalake(table, rows.slice(0, 50))
    younger = rows.slice(50).append_column("recaption", pa.array([f"re {number}" for number in range(50, 100)]))
    deltalake.write_deltalake(table, younger, mode="append", schema_mode="merge")
    write_release(tmp_path, rows, table_version=1)
    stream = stream_of(Lake(tmp_path, (), rows), drop_last=False, mix=Mix(alt_text=1e-9, recaption=1))
    texts = [text.split()[0] for batch in stream for text in batch.text]
    assert (texts.count("alt"), texts.count("re")) == (45, 45)


# order


@pytest.mark.parametrize("threads", [1, 5])
def test_the_same_seed_gives_the_same_batches(lake: Lake, threads: int) -> None:
    assert content(stream_of(lake, threads=threads)) == content(stream_of(lake))


def test_another_seed_gives_another_order(lake: Lake) -> None:
    assert ids_of(stream_of(lake, seed=8)) != ids_of(stream_of(lake))


def test_every_epoch_has_an_order_of_its_own(lake: Lake) -> None:
    stream = stream_of(lake)
    orders = {tuple(ids_of(stream)) for _ in range(3)}
    assert len(orders) == 3


def test_an_epoch_does_not_depend_on_those_before_it(lake: Lake) -> None:
    stream, other = stream_of(lake), stream_of(lake)
    list(stream)
    other.set_epoch(1)
    assert content(stream) == content(other)


# resuming


@pytest.mark.parametrize(("before", "after"), [(1, 1), (1, 3), (2, 4), (4, 1), (3, 2)])
def test_resuming_in_another_world_neither_loses_nor_repeats(lake: Lake, before: int, after: int) -> None:
    options: dict[str, Any] = {"batch_size": 7, "drop_last": False}
    streams = worlds(lake, before, **options)
    seen = [ids_of(itertools.islice(stream, 4)) for stream in streams]
    (state,) = {repr(stream.state_dict()): stream.state_dict() for stream in streams}.values()
    for stream in worlds(lake, after, **options):
        stream.load_state_dict(state)
        seen.append(ids_of(stream))
        assert stream.epoch == 1
    together = sorted(itertools.chain(*seen))
    assert len(together) == len(set(together)) == 270 - (270 - before * 28) % after


def test_resuming_gives_the_batches_that_were_to_come(lake: Lake) -> None:
    stream, resumed = stream_of(lake), stream_of(lake)
    batches = iter(stream)
    for _ in range(5):
        next(batches)
    resumed.load_state_dict(stream.state_dict())
    assert content(resumed) == content(batches)


def test_a_loop_that_was_left_goes_on_where_it_was(lake: Lake) -> None:
    stream = stream_of(lake)
    first = ids_of(itertools.islice(stream, 3))
    assert first + ids_of(stream) == ids_of(stream_of(lake))


def test_a_loop_ends_when_another_begins(lake: Lake) -> None:
    stream = stream_of(lake)
    batches = iter(stream)
    next(batches)
    next(iter(stream))
    with pytest.raises(StreamError, match=r"this loop over the stream has ended"):
        next(batches)


@pytest.mark.parametrize("other", [{"seed": 8}, {"lanes": 3}, {"split": "held_out"}, {"shuffle": False, "lanes": 5}])
def test_a_state_of_another_order_is_refused(lake: Lake, other: dict[str, Any]) -> None:
    with pytest.raises(StreamError, match=r"cannot resume: the state has"):
        stream_of(lake, **other).load_state_dict(stream_of(lake).state_dict())


@pytest.mark.parametrize(
    "wrong",
    [{"position": -5}, {"position": 10**9}, {"position": "a"}, {"position": None}, {"epoch": -1}, {"epoch": None}],
)
def test_a_state_that_is_no_place_in_the_stream_is_refused(lake: Lake, wrong: dict[str, Any]) -> None:
    stream = stream_of(lake)
    with pytest.raises(StreamError, match=r"cannot resume: the state has .*, which is no place in the stream"):
        stream.load_state_dict({**stream.state_dict(), **wrong})


def test_what_is_no_state_is_refused(lake: Lake) -> None:
    with pytest.raises(StreamError, match=r"cannot resume: 'x' is not what state_dict\(\) gives"):
        stream_of(lake).load_state_dict("x")  # type: ignore[arg-type]


def test_no_thread_is_left_to_python_where_an_epoch_was_left(lake: Lake) -> None:
    """A thread that Python kills inside Arrow takes the process with it: whoever ends last sees none."""
    code = (
        "import atexit, sys, threading\n"
        "atexit.register(lambda: print(sorted(one.name for one in threading.enumerate() if '-' in one.name)))\n"
        "from lakehouse.stream import CaptionStream\n"
        "batches = iter(CaptionStream(sys.argv[1], release='demo', batch_size=16, image_size=32, threads=2))\n"
        "next(batches)\n"
        "print(sum(one.name.startswith('decoder-') for one in threading.enumerate()))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(lake.path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "2\n[]\n"), done.stderr


# bad calls


def test_a_mix_may_name_the_texts_of_gold_training_alone() -> None:
    strings = {column.name for column in TRAINING.columns if column.type in ("STRING", "ARRAY<STRING>")}
    assert strings - set(NOT_TEXTS) == set(TEXTS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"release": "dmo"}, "unknown release 'dmo'"),
        ({"mix": Mix(caption=1)}, "unknown text column 'caption' .* one of alt_text, web_tags, long_positive"),
        ({"negatives": Mix(sample_id=1)}, "unknown text column 'sample_id'"),
        ({"mix": Mix()}, "the mix is empty"),
        ({"mix": "alt_text=1"}, r"bad mix 'alt_text=1': expected Mix\(alt_text=1, ...\) or a dict"),
        ({"world": (0, 2)}, r"bad world=\(0, 2\): expected World"),
        ({"long_texts": "span:3"}, "bad long_texts='span:3': expected a policy"),
        ({"split": "test"}, "no rows of split 'test': expected 'train' or 'held_out'"),
        ({"batch_size": 300}, "270 rows of split 'train': fewer than one batch of 300"),
        ({"batch_size": 0}, "bad batch_size=0"),
        ({"batch_size": 1.5}, "bad batch_size=1.5: expected a whole number from 1"),
        ({"tags": "hot"}, "unknown form of tags 'hot': expected one of 'lists', 'padded', 'multi_hot'"),
        ({"crop": "centre"}, "unknown crop 'centre': expected one of 'random', 'center', 'random_resized'"),
    ],
)
def test_a_bad_call_is_told_what_would_be_right(lake: Lake, options: dict[str, Any], message: str) -> None:
    with pytest.raises(StreamError, match=message):
        stream_of(lake, **options)


def test_a_table_that_is_not_the_released_one_is_refused(make_lake: MakeLake) -> None:
    with pytest.raises(StreamError, match=r"promises 271 rows of split 'train', and version 0 of .* has 270"):
        stream_of(make_lake(300, train_rows=271))


def test_a_predicate_that_is_not_understood_is_refused(make_lake: MakeLake) -> None:
    with pytest.raises(StreamError, match=r"cannot read predicate"):
        stream_of(make_lake(300, predicate="rand() < 0.5"))
