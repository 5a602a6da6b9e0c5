"""What a stream does about what cannot be read: it is found, counted, stepped over, and never a silence."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lakehouse.errors import StreamError
from lakehouse.stream import Batch, Mix
from tests.lakehouse.stream.conftest import MakeLake
from tests.lakehouse.stream.lakes import (
    flip_a_byte,
    ids_of,
    jpeg,
    sample_id,
    training_rows,
)
from tests.lakehouse.stream.streams import content, stream_of, worlds


def test_a_damaged_row_group_is_found(make_lake: MakeLake) -> None:
    lake = make_lake(300)
    flip_a_byte(lake.files[1], row_group=2, column="image")
    stream = stream_of(lake, drop_last=False)
    damaged = {sample_id(number) for number in range(132, 148) if number % 10 != 9}
    assert set(ids_of(stream)) == set(lake.train_ids) - damaged
    assert stream.counters.skipped == {"corrupt_row_group": len(damaged)}


def test_a_damaged_row_group_is_recorded_with_its_rows(make_lake: MakeLake) -> None:
    lake = make_lake(300)
    flip_a_byte(lake.files[1], row_group=2, column="alt_text")
    stream = stream_of(lake)
    while stream.epoch < 2:
        list(stream)
    (fault,) = stream.faults
    assert (fault.reason, Path(fault.file), fault.row_group) == ("corrupt_row_group", lake.files[1], 2)
    assert fault.sample_ids == tuple(sample_id(number) for number in range(132, 148) if number % 10 != 9)


def test_every_flipped_bit_is_found(make_lake: MakeLake) -> None:
    lake = make_lake(300)
    whole = {batch.sample_id[0]: batch for batch in stream_of(lake, batch_size=1, shuffle=False)}
    original = lake.files[0].read_bytes()
    for seed in range(12):
        _flip_a_bit_of_the_data(lake.files[0], original, seed)
        stream = stream_of(lake, batch_size=1, shuffle=False)
        for batch in stream:
            assert _same(batch, whole[batch.sample_id[0]])
        assert stream.counters.rows + stream.counters.skipped.total() + stream.counters.left_out >= 270


def _flip_a_bit_of_the_data(file: Path, original: bytes, seed: int) -> None:
    footer = int.from_bytes(original[-8:-4], "little") + 8
    place = int(np.random.default_rng(seed).integers(4, len(original) - footer))
    data = bytearray(original)
    data[place] ^= 1 << (seed % 8)
    file.write_bytes(data)


def _same(one: Batch, other: Batch) -> bool:
    return content([one]) == content([other])


def test_more_damage_than_the_quota_is_an_error(make_lake: MakeLake) -> None:
    lake = make_lake(300)
    flip_a_byte(lake.files[0], row_group=0, column="image")
    with pytest.raises(StreamError, match=r"more than max_skipped=5: 6 corrupt_row_group"):
        ids_of(stream_of(lake, max_skipped=5))


def test_an_image_that_does_not_decode_is_skipped(make_lake: MakeLake) -> None:
    pictures = [jpeg(number)[:40] if number in (3, 50) else jpeg(number) for number in range(100)]
    lake = make_lake(training_rows(100).set_column(2, "image", pa.array(pictures)))
    stream = stream_of(lake, drop_last=False)
    assert set(ids_of(stream)) == set(lake.train_ids) - {sample_id(3), sample_id(50)}
    assert stream.counters.skipped == {"undecodable_image": 2}


def test_a_row_without_a_text_of_the_mix_is_skipped(make_lake: MakeLake) -> None:
    texts = ["" if number == 8 else f"alt {number}" for number in range(100)]
    lake = make_lake(training_rows(100).set_column(3, "alt_text", pa.array(texts)))
    stream = stream_of(lake, drop_last=False, mix=Mix(alt_text=1))
    assert set(ids_of(stream)) == set(lake.train_ids) - {sample_id(8)}
    assert stream.counters.skipped == {"no_text": 1}


def test_on_several_processes_batches_stay_full(make_lake: MakeLake) -> None:
    lake = make_lake(300)
    flip_a_byte(lake.files[1], row_group=2, column="image")
    streams = worlds(lake, 2)
    assert [[len(batch) for batch in stream] for stream in streams] == [[16] * 8] * 2
    repeated = sum(stream.counters.repeated for stream in streams)
    assert 0 < repeated == sum(stream.counters.skipped.total() for stream in streams)


def test_a_batch_of_damaged_rows_alone_stays_full_on_several_processes(make_lake: MakeLake) -> None:
    lake = make_lake(300, files=1, group_rows=50)
    flip_a_byte(lake.files[0], row_group=3, column="image")
    streams = worlds(lake, 2, batch_size=4, lanes=1, shuffle=False)
    assert [{len(batch) for batch in stream} for stream in streams] == [{4}] * 2


def test_a_file_that_vacuum_took_is_an_error(make_lake: MakeLake) -> None:
    lake = make_lake(300)
    lake.files[0].unlink()
    with pytest.raises(StreamError, match=r"is gone, as after VACUUM"):
        stream_of(lake)


def test_a_file_that_goes_during_an_epoch_is_an_error(make_lake: MakeLake) -> None:
    lake = make_lake(3000, files=3)
    batches = iter(stream_of(lake))
    next(batches)
    for file in lake.files:
        file.unlink()
    with pytest.raises(StreamError, match=r"is gone, as after VACUUM"):
        ids_of(batches)
