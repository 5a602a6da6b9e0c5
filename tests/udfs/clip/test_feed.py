"""What a training takes of a row."""

from pathlib import Path

import pytest
import torch

from lakehouse.errors import StreamError
from lakehouse.stream import World
from lakehouse.stream.releases import read_release
from tests.jobs.training_lake import write_released
from udfs.clip.feed import Feed, open_stream
from udfs.clip.presets import Scale


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"crop": "centre"}, r"unknown crop 'centre': expected one of 'random', 'center', 'random_resized'"),
        ({"long_texts": "cut:3"}, r"unknown policy for long texts 'cut:3': expected whole, first:2, span:3 or drop:77"),
    ],
)
def test_what_cannot_be_taken_is_told_before_anything_is_read(flags: dict[str, str], message: str) -> None:
    with pytest.raises(StreamError, match=message):
        Feed(**flags)  # type: ignore[arg-type]


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_images_come_on_the_device_that_computes(device: str, tmp_path: Path) -> None:
    lake = str(write_released(tmp_path / "lake"))
    where = torch.device(device)
    options = {"image_size": 32, "seed": 0, "world": World(), "device": where}
    stream = open_stream(lake, read_release(lake, "demo"), Scale(batch_size=16), Feed(), **options)  # type: ignore[arg-type]
    assert {batch.image.device for batch in stream} == {where}
