"""Rows that accelerate deals out come together as the stream's batches, or there is an error.

The dealing is that of transformers' own copy of accelerate's class; with accelerate itself, see tests/consumers.
"""

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader
from transformers import TrainerControl, TrainerState
from transformers.trainer_pt_utils import IterableDatasetShard

from lakehouse.errors import StreamError
from lakehouse.stream import CaptionStream, World
from lakehouse.stream.hf_trainer import TrainerDataset
from tests.lakehouse.stream.conftest import MakeLake
from tests.lakehouse.stream.lakes import Lake, jpeg, training_rows
from tests.udfs.clip.tiny import TINY

BATCH = 8


def tokenizer(texts: list[str], **_: object) -> Mapping[str, torch.Tensor]:
    return {"input_ids": torch.tensor([[int(text.split()[-1])] for text in texts])}


def data_of(lake: Lake, world: World = World(), **options: Any) -> TrainerDataset:  # noqa: B008 # frozen
    stream = CaptionStream(
        lake.path, release="demo", batch_size=BATCH, image_size=32, threads=1, world=world, **options
    )
    return TrainerDataset(stream, tokenizer)


class Dealt(TrainerDataset):
    """A data set that looks at no process group: there is none here, and it is dealt out as if there were."""

    def _check(self) -> None: ...


def dealt(lake: Lake, rank: int, size: int) -> Iterator[dict[str, Any]]:
    """Yield what process ``rank`` of ``size`` gets of the first epoch."""
    data = data_of(lake, World(rank, size))
    data.__class__ = Dealt
    shard = IterableDatasetShard(data, batch_size=BATCH, num_processes=size, process_index=rank)
    yield from DataLoader(shard, batch_size=BATCH, collate_fn=data.collate)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_each_process_gets_its_own_rows_once(lake: Lake, size: int) -> None:
    found = [[made["input_ids"].flatten().tolist() for made in dealt(lake, rank, size)] for rank in range(size)]
    for rank, batches in enumerate(found):
        stream = data_of(lake, World(rank, size)).stream
        assert batches == [tokenizer(batch.text)["input_ids"].flatten().tolist() for batch in stream]
        assert len(batches) == len(stream)


def test_a_batch_is_what_a_clip_of_transformers_takes(lake: Lake) -> None:
    made = next(dealt(lake, 0, 1))
    assert set(made) == {"pixel_values", "input_ids", "return_loss"}
    assert (made["pixel_values"].shape, made["pixel_values"].dtype) == ((BATCH, 3, 32, 32), torch.float32)


def test_a_loader_knows_how_many_batches_come(lake: Lake) -> None:
    data = data_of(lake)
    loader = DataLoader(data, batch_size=BATCH, collate_fn=data.collate)
    assert len(loader) == len(list(loader)) == len(data.stream) == 33


def test_an_epoch_is_the_one_that_was_asked_for(lake: Lake) -> None:
    data = data_of(lake)
    loader = DataLoader(data, batch_size=BATCH, collate_fn=data.collate)
    rows: dict[int, list[Any]] = {}
    for epoch in (1, 0, 1):
        data.set_epoch(epoch)
        rows.setdefault(epoch, []).append([made["input_ids"].tolist() for made in loader])
    assert rows[1][0] == rows[1][1] != rows[0][0]


def test_batches_that_were_had_are_not_read_again(lake: Lake) -> None:
    whole, resumed = (data_of(lake) for _ in range(2))
    resumed.skip(30)
    left = list(DataLoader(resumed, batch_size=BATCH, collate_fn=resumed.collate))
    everything = list(DataLoader(whole, batch_size=BATCH, collate_fn=whole.collate))
    assert left[:30] == [{}] * 30
    assert [made["input_ids"].tolist() for made in left[30:]] == [
        made["input_ids"].tolist() for made in everything[30:]
    ]
    assert resumed.stream.counters.rows == 3 * BATCH


@pytest.mark.parametrize(("accumulated", "step", "had"), [(1, 40, 7), (2, 16, 32), (2, 17, 0), (2, 20, 6), (4, 10, 4)])
def test_a_resumed_training_leaves_out_what_the_trainer_does(lake: Lake, accumulated: int, step: int, had: int) -> None:
    """33 batches an epoch: with 2 an update these are 17 updates, the last of one batch, and step 17 begins epoch 1."""
    data = data_of(lake)
    state, control = TrainerState(global_step=step), TrainerControl()
    # Not TrainingArguments: these need accelerate.
    given = SimpleNamespace(gradient_accumulation_steps=accumulated, ignore_data_skip=False)
    data.resume.on_train_begin(given, state, control)
    made = list(DataLoader(data, batch_size=BATCH, collate_fn=data.collate))
    assert (made.count({}), len(made)) == (had, 33)


def test_a_short_batch_stays_alone(make_lake: MakeLake) -> None:
    rows = training_rows(100)
    images = [b"no image" if number % 5 == 0 else jpeg(number) for number in range(100)]
    data = data_of(make_lake(rows.set_column(rows.schema.get_field_index("image"), "image", [images])), drop_last=False)
    found = [
        made["input_ids"].flatten().tolist() for made in DataLoader(data, batch_size=BATCH, collate_fn=data.collate)
    ]
    wanted = [number for number in range(100) if number % 5 and number % 10 != 9]
    assert sorted(number for batch in found for number in batch) == wanted
    assert {len(batch) for batch in found} > {BATCH - 1}


@pytest.mark.parametrize("batch_size", [BATCH - 1, BATCH + 1, 2 * BATCH])
def test_another_batch_size_is_an_error(lake: Lake, batch_size: int) -> None:
    data = data_of(lake)
    with pytest.raises(StreamError, match=r"expected TrainingArguments\(\.\.\., \*\*data\.arguments\)"):
        list(DataLoader(data, batch_size=batch_size, collate_fn=data.collate))


def test_rows_meant_for_another_process_are_an_error(lake: Lake) -> None:
    """As where the first process alone reads and hands out, which is accelerate's default."""
    data = data_of(lake, World(0, 2))
    data.__class__ = Dealt
    with pytest.raises(StreamError, match="arrived otherwise than they were sent"):
        list(DataLoader(data, batch_size=BATCH, collate_fn=data.collate))


def test_a_stream_of_another_world_is_an_error(lake: Lake) -> None:
    with pytest.raises(StreamError, match="1 processes train, and the stream is of a world of 2"):
        next(iter(data_of(lake, World(0, 2))))


def test_worker_processes_are_an_error(lake: Lake) -> None:
    data = data_of(lake)
    with pytest.raises(StreamError, match="expected dataloader_num_workers=0"):
        next(iter(DataLoader(data, batch_size=BATCH, collate_fn=data.collate, num_workers=1)))


@pytest.mark.train
def test_a_clip_of_transformers_learns_from_it(lake: Lake) -> None:
    from udfs.clip.model import small_clip
    from udfs.clip.tokenizer import train_tokenizer

    trained = train_tokenizer([f"alt {n} long {n}" for n in range(300)], vocab_size=300, max_tokens=TINY.max_tokens)
    stream = CaptionStream(lake.path, release="demo", batch_size=BATCH, image_size=TINY.image_size, threads=1)
    data = TrainerDataset(stream, trained)
    model = small_clip(trained, TINY).clip
    before = model.logit_scale.item()
    made = next(iter(DataLoader(data, batch_size=BATCH, collate_fn=data.collate)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loss = model(**made).loss
    loss.backward()
    optimizer.step()
    assert torch.isfinite(loss)
    assert model.logit_scale.item() != before
