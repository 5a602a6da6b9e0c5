"""Batches on a GPU."""

import pytest
import torch

from lakehouse.errors import StreamError
from lakehouse.stream import CaptionStream
from tests.lakehouse.stream.lakes import Lake

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")


def stream_of(lake: Lake, device: str | None) -> CaptionStream:
    return CaptionStream(
        lake.path, release="demo", batch_size=16, image_size=32, device=device, tags="multi_hot", threads=2
    )


def _lag() -> None:
    """Let the GPU lag behind the stream: what is still being copied must not be written over."""
    torch.cuda._sleep(50_000_000)  # type: ignore[no-untyped-call]


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch sees a GPU")
def test_a_gpu_that_is_not_there_is_an_error(lake: Lake) -> None:
    with pytest.raises(StreamError, match=r"no device 'cuda': torch sees no GPU"):
        stream_of(lake, "cuda")


@needs_gpu
def test_a_gpu_that_lags_gets_every_batch_whole(lake: Lake) -> None:
    there = []
    for batch in stream_of(lake, "cuda"):
        _lag()
        there.append((batch.image.clone(), batch.tags.clone() if batch.tags is not None else None))
    torch.cuda.synchronize()
    here = [(batch.image, batch.tags) for batch in stream_of(lake, None)]
    for (image, tags), (own_image, own_tags) in zip(there, here, strict=True):
        assert torch.equal(image.cpu(), own_image)
        assert tags is not None
        assert own_tags is not None
        assert torch.equal(tags.cpu(), own_tags)
