"""Streams of small lakes, and what came out of them."""

from typing import Any

import cv2
import numpy as np

from lakehouse.stream import CaptionStream, World
from tests.lakehouse.stream.lakes import Lake


def stream_of(lake: Lake, **options: Any) -> CaptionStream:
    given_options = {"release": "demo", "batch_size": 16, "image_size": 32, "threads": 2, **options}
    return CaptionStream(lake.path, **given_options)


def worlds(lake: Lake, size: int, **options: Any) -> list[CaptionStream]:
    return [stream_of(lake, world=World(rank, size), **options) for rank in range(size)]


def content(batches: Any) -> list[tuple[Any, ...]]:
    return [(batch.sample_id, batch.text, batch.negative_text, batch.image.sum().item()) for batch in batches]


def noise(seed: int) -> np.ndarray[Any, Any]:
    picture = np.random.default_rng(seed).integers(0, 255, (40, 48, 3), dtype=np.uint8)
    return np.asarray(cv2.imencode(".jpg", picture)[1])
