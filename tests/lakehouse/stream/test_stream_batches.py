"""What is in a batch of a stream: the parts of a row together, texts and views as asked for."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from lakehouse.stream import Mix
from lakehouse.stream.caption_stream import _BATCHES_AHEAD
from lakehouse.stream.long_texts import DropLong, SentenceSpan
from tests.lakehouse.stream.conftest import MakeLake
from tests.lakehouse.stream.lakes import (
    Lake,
    colour,
    sample_id,
    training_rows,
)
from tests.lakehouse.stream.streams import content, noise, stream_of


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
    pictures = [bytes(np.asarray(noise(number))) for number in range(20)]
    lake = make_lake(training_rows(20).set_column(2, "image", pa.array(pictures)), files=1)
    stream = stream_of(lake, batch_size=18, shuffle=False)
    first, second = next(iter(stream)), None
    stream.set_epoch(1)
    second = next(iter(stream))
    assert first.sample_id == second.sample_id
    assert not torch.equal(first.image, second.image)


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
    pictures = [bytes(np.asarray(noise(number))) for number in range(100)]
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
