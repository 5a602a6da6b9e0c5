"""What a stream promises: every row once, the same order for the same seed, and an error instead of a silence."""

import itertools
from pathlib import Path
from typing import Any

import deltalake
import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.errors import StreamError
from lakehouse.stream import Batch, CaptionStream, Mix, World
from lakehouse.stream.caption_stream import _BATCHES_AHEAD
from lakehouse.stream.checks import NOT_TEXTS
from lakehouse.stream.long_texts import DropLong, SentenceSpan
from schemas.gold import TEXTS, TRAINING
from tests.lakehouse.stream.conftest import MakeLake
from tests.lakehouse.stream.lakes import (
    Lake,
    colour,
    flip_a_byte,
    ids_of,
    jpeg,
    sample_id,
    training_rows,
    write_release,
)


def stream_of(lake: Lake, **options: Any) -> CaptionStream:
    given_options = {"release": "demo", "batch_size": 16, "image_size": 32, "threads": 2, **options}
    return CaptionStream(lake.path, **given_options)


def worlds(lake: Lake, size: int, **options: Any) -> list[CaptionStream]:
    return [stream_of(lake, world=World(rank, size), **options) for rank in range(size)]


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


# what is in a batch


def test_a_row_keeps_its_parts_together(lake: Lake) -> None:
    number_of = {sample_id(number): number for number in range(300)}
    for batch in stream_of(lake, mix=Mix(alt_text=1), negatives=Mix(short_negative=1)):
        for place, sample in enumerate(batch.sample_id):
            number = number_of[sample]
            assert batch.text[place] == f"alt {number}"
            assert batch.negative_text[place] == f"tree {number}, car"
            assert batch.tag_ids[place].tolist() == sorted({number % 7, number % 5})
            difference = batch.image[place].float().mean((1, 2)) - torch.tensor(colour(number)).float()
            assert difference.abs().max() < 4


def test_images_are_channels_last_bytes(lake: Lake) -> None:
    image = next(iter(stream_of(lake))).image
    assert (image.shape, image.dtype) == ((16, 3, 32, 32), torch.uint8)
    assert image.is_contiguous(memory_format=torch.channels_last)


def test_batches_that_are_kept_do_not_change(lake: Lake) -> None:
    stream, kept, copies = stream_of(lake, batch_size=8), [], []
    for batch in stream:
        kept.append(batch)
        copies.append(batch.image.clone())
    assert len(kept) > 4 * _BATCHES_AHEAD
    assert all(torch.equal(batch.image, copy) for batch, copy in zip(kept, copies, strict=True))


def test_the_release_gives_the_mix(lake: Lake) -> None:
    stream = stream_of(lake)
    assert (stream.mix, stream.negatives, stream.seed) == (stream.release.mix, stream.release.negatives, 7)


def test_the_realised_mix_is_near_the_mix(lake: Lake) -> None:
    stream = stream_of(lake, mix=Mix(alt_text=0.3, long_positive=0.7), drop_last=False)
    while stream.epoch < 8:
        list(stream)
    total = 8 * 270
    assert abs(stream.counters.realised_mix["alt_text"] - 0.3) < 3 * np.sqrt(0.3 * 0.7 / total)
    assert stream.counters.texts.total() == stream.counters.negatives.total() == total


def test_without_negatives_there_are_none(lake: Lake) -> None:
    assert set(next(iter(stream_of(lake, negatives=Mix()))).negative_text) == {None}


def test_crops_differ_between_epochs(tmp_path: Path, make_lake: MakeLake) -> None:
    pictures = [bytes(np.asarray(_noise(number))) for number in range(20)]
    lake = make_lake(training_rows(20).set_column(2, "image", pa.array(pictures)), files=1)
    stream = stream_of(lake, batch_size=18, shuffle=False)
    first, second = next(iter(stream)), None
    stream.set_epoch(1)
    second = next(iter(stream))
    assert first.sample_id == second.sample_id
    assert not torch.equal(first.image, second.image)


def _noise(seed: int) -> np.ndarray[Any, Any]:
    import cv2

    picture = np.random.default_rng(seed).integers(0, 255, (40, 48, 3), dtype=np.uint8)
    return np.asarray(cv2.imencode(".jpg", picture)[1])


def test_tags_come_as_a_tensor_when_asked_for(lake: Lake) -> None:
    hot, padded = (next(iter(stream_of(lake, tags=form))) for form in ("multi_hot", "padded"))
    wanted = [tags.tolist() for tags in hot.tag_ids]
    assert hot.tags is not None
    assert padded.tags is not None
    assert [row.nonzero()[:, 0].tolist() for row in hot.tags] == wanted
    assert [[tag for tag in row if tag >= 0] for row in padded.tags.tolist()] == wanted
    assert hot.tags.shape[1] == stream_of(lake).release.tag_count


def test_an_image_is_never_mirrored_against_its_text(make_lake: MakeLake) -> None:
    texts = [f"a kite on the left of {number}" if number % 2 else f"kite {number}" for number in range(100)]
    pictures = [bytes(np.asarray(_noise(number))) for number in range(100)]
    rows = training_rows(100).set_column(3, "alt_text", pa.array(texts)).set_column(2, "image", pa.array(pictures))
    lake = make_lake(rows)
    options: dict[str, Any] = {"mix": Mix(alt_text=1), "negatives": Mix(), "drop_last": False, "crop": "center"}
    plain = {one.sample_id[0]: one.image for one in stream_of(lake, batch_size=1, **options)}
    turned = {one.sample_id[0]: one for one in stream_of(lake, batch_size=1, flip=True, **options)}
    is_turned = {name: torch.equal(one.image, plain[name].flip(3)) for name, one in turned.items()}
    assert all(torch.equal(one.image, plain[name]) or is_turned[name] for name, one in turned.items())
    assert {"left" in turned[name].text[0] for name, is_so in is_turned.items() if is_so} == {False}


def test_a_long_text_gives_way_to_another(make_lake: MakeLake) -> None:
    texts = ["a kite " * 60 if number % 3 == 0 else f"alt {number}" for number in range(100)]
    lake = make_lake(training_rows(100).set_column(3, "alt_text", pa.array(texts)))
    stream = stream_of(lake, drop_last=False, long_texts=DropLong(77), mix=Mix(alt_text=1, long_positive=1e-9))
    said = {text.split()[0] for batch in stream for text in batch.text}
    assert said == {"alt", "long"}
    assert stream.counters.texts["long_positive"] == sum(number % 3 == 0 and number % 10 != 9 for number in range(100))


def test_part_of_a_text_is_drawn_anew_in_every_epoch(make_lake: MakeLake) -> None:
    rows = training_rows(50).set_column(3, "alt_text", pa.array(["One kite. Two kites. Three kites."] * 50))
    stream = stream_of(make_lake(rows), long_texts=SentenceSpan(1), mix=Mix(alt_text=1), drop_last=False)
    epochs = [{batch.sample_id[0]: batch.text[0] for batch in stream_of_epoch} for stream_of_epoch in (stream, stream)]
    assert {text for epoch in epochs for text in epoch.values()} <= {"One kite.", "Two kites.", "Three kites."}
    assert epochs[0] != epochs[1]


def test_a_false_text_stays_whole(make_lake: MakeLake) -> None:
    rows = training_rows(50)
    place = rows.column_names.index("long_negative")
    rows = rows.set_column(place, "long_negative", pa.array(["A kite. It is blue."] * 50))
    batch = next(iter(stream_of(make_lake(rows), long_texts=SentenceSpan(1), negatives=Mix(long_negative=1))))
    assert set(batch.negative_text) == {"A kite. It is blue."}


def test_batches_on_a_device_are_those_of_the_disk(lake: Lake) -> None:
    stream = stream_of(lake, device="cpu")
    moved = iter(stream)
    first = next(moved)
    assert stream.state_dict()["position"] == len(first)
    assert content([first, *moved]) == content(stream_of(lake))


def test_a_trainer_that_waits_is_told_how_long(lake: Lake) -> None:
    stream = stream_of(lake)
    list(stream)
    assert stream.counters.wait_seconds > 0


# order


def content(batches: Any) -> list[tuple[Any, ...]]:
    return [(batch.sample_id, batch.text, batch.negative_text, batch.image.sum().item()) for batch in batches]


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


# what cannot be read


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
        ({"split": "test"}, "0 rows of split 'test': fewer than one batch of 16 on 1 processes"),
        ({"batch_size": 300}, "270 rows of split 'train': fewer than one batch of 300"),
        ({"batch_size": 0}, "bad batch_size=0"),
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
