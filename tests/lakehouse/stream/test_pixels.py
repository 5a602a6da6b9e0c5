"""Scaling is normalising by mean and deviation."""

import torch

from lakehouse.clip_colours import CLIP_MEAN, CLIP_STD
from lakehouse.stream.pixels import Scaling


def test_scaling_is_normalising() -> None:
    image = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (CLIP_MEAN, CLIP_STD))
    torch.testing.assert_close(Scaling.of(CLIP_MEAN, CLIP_STD)(image, "cpu"), (image / 255 - mean) / std)


def test_the_batch_is_left_as_it_was() -> None:
    image = torch.full((1, 3, 2, 2), 7, dtype=torch.uint8)
    Scaling.of(CLIP_MEAN, CLIP_STD)(image, "cpu")
    assert bool((image == 7).all())
