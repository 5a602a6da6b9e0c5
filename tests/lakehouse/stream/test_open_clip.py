"""What open_clip's trainer iterates over, without open_clip; with it, see tests/consumers."""

from argparse import Namespace
from importlib.util import find_spec
from typing import Any

import pytest
import torch

from lakehouse.errors import BadInput
from lakehouse.stream import CaptionStream
from lakehouse.stream.open_clip import Loader, check_flags, main, read_preprocess
from lakehouse.stream.pixels import Scaling
from tests.lakehouse.stream.lakes import Lake

HALF = Scaling.of((0.5,) * 3, (0.5,) * 3)


def numbers(texts: list[str]) -> torch.Tensor:
    return torch.tensor([[int(text.split()[-1])] for text in texts])


def loader(lake: Lake, **given: Any) -> Loader:
    stream = CaptionStream(lake.path, release="demo", batch_size=16, image_size=32, threads=1)
    return Loader(stream, HALF, numbers, **given)


def rows(made: Loader, epoch: int) -> list[int]:
    made.set_value(epoch)
    return [int(row) for _, tokens in made for row in tokens]


def test_an_epoch_is_the_releases_own_where_nothing_is_said(lake: Lake) -> None:
    made = loader(lake)
    assert (made.num_batches, made.num_samples, len(made)) == (16, 256, 16)
    assert len(set(rows(made, 0))) == 256
    assert set(rows(made, 1)) != set(rows(made, 0))  # the tail is another


def test_short_epochs_are_parts_of_the_release(lake: Lake) -> None:
    made, whole = loader(lake, num_batches=4), loader(lake)
    parts = [row for epoch in range(4) for row in rows(made, epoch)]
    assert parts == rows(whole, 0)


def test_a_batch_is_a_pair_of_images_with_tokens(lake: Lake) -> None:
    images, tokens = next(iter(loader(lake)))
    assert (images.shape, images.dtype, tokens.shape) == ((16, 3, 32, 32), torch.float32, (16, 1))
    assert -1 <= images.min() < images.max() <= 1


def test_normalising_is_read_from_what_a_transform_does() -> None:
    import numpy as np

    def preprocess(image: Any) -> torch.Tensor:
        pixels = torch.from_numpy(np.array(image.resize((24, 24)))).permute(2, 0, 1)
        return (pixels / 255 - 0.5) / 0.25

    side, scaling = read_preprocess(preprocess)
    assert side == 24
    torch.testing.assert_close(scaling.scale, torch.full((3,), 4 / 255))
    torch.testing.assert_close(scaling.shift, torch.full((3,), -2.0))


def test_images_that_are_no_squares_are_refused() -> None:
    with pytest.raises(BadInput, match="the model sees images of 5 x 4 pixels: a stream gives squares"):
        read_preprocess(lambda image: torch.zeros(3, 4, 5))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("train_data", "x.tar"),
        ("dataset_resampled", True),
        ("train_data_upsampling_factors", "1::2"),
        ("aug_cfg", {"scale": (0.5, 1)}),
        ("dataset_type", "synthetic"),
    ],
)
def test_a_setting_that_would_do_nothing_is_refused(name: str, value: object) -> None:
    unset: dict[str, Any] = {
        "train_data": None,
        "dataset_resampled": False,
        "train_data_upsampling_factors": None,
        "aug_cfg": {},
    }
    check_flags(Namespace(**{**unset, "dataset_type": "auto"}))
    with pytest.raises(BadInput, match=f"--{name.replace('_', '-')} is of open_clip's own loaders"):
        check_flags(Namespace(**{**unset, "dataset_type": "auto", name: value}))


@pytest.mark.skipif(find_spec("open_clip") is not None, reason="open_clip is installed")
def test_open_clip_that_is_missing_is_one_line(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--lake", str(lake.path), "--release", "demo", "--", "--model", "ViT-B-32"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: open_clip is not installed: pip install 'open_clip_torch[training]'")
    assert said.count("\n") == 1


def test_a_flag_of_open_clip_before_the_dashes_is_a_bad_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--lake", "x", "--release", "demo", "--model", "ViT-B-32"])
    assert ended.value.code == 2
    assert "unknown argument '--model'" in capsys.readouterr().err
