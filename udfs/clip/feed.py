"""What a training is fed: the stream of a release, epochs of it, and the texts that its tokenizer is made of."""

import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lakehouse.stream import Batch, CaptionStream, Mix, Release, World
from lakehouse.stream.augment import crop_of
from lakehouse.stream.counters import Counters
from lakehouse.stream.faults import Quota
from lakehouse.stream.long_texts import parse_long_texts
from lakehouse.stream.texts import read_texts
from lakehouse.weights import parse_weights
from udfs.clip.presets import Scale, check_share

if TYPE_CHECKING:
    import torch

TOKENIZER_ROWS: Final = 200_000
"""Rows whose texts the tokenizer is trained on: more change next to nothing and would have to be held in memory."""

_TEXTS: Final = ("web_text", "long_positive", "short_positive")


@dataclass(frozen=True)
class Feed:
    """What is taken of a row, as people write it: weights of text columns, parts of long texts, views of images.

    An empty mix is the release's own. See ``CaptionStream``.
    """

    mix: str = ""
    negatives: str = ""
    long_texts: str = "whole"
    crop: str = Scale.crop
    flip: bool = Scale.flip

    def __post_init__(self) -> None:
        crop_of(self.crop), parse_long_texts(self.long_texts)


def open_stream(
    root: str,
    release: Release,
    scale: Scale,
    feed: Feed,
    *,
    image_size: int,
    seed: int,
    world: World,
    device: "torch.device",
) -> CaptionStream:
    """Return this process's share of the training rows, its images on ``device`` before they are asked for."""
    check_share(scale.batch_size, world.size)
    return CaptionStream(
        root,
        release=release.release,
        # A release smaller than a batch is one batch: the photographs of a machine without apt are.
        batch_size=max(1, min(scale.batch_size, release.train_rows) // world.size),
        image_size=image_size,
        seed=seed,
        world=world,
        mix=_mix(feed.mix),
        negatives=_mix(feed.negatives),
        long_texts=parse_long_texts(feed.long_texts),
        crop=crop_of(feed.crop),
        flip=feed.flip,
        device=None if device.type == "cpu" else device,
    )


def step_count(stream: CaptionStream, scale: Scale, max_steps: int) -> int:
    """Return the steps of a training: what its samples or epochs come to, ``max_steps`` at most; 0 is no limit."""
    rows = stream.batch_size * stream.world.size
    whole = math.ceil(scale.samples / rows) if scale.samples else scale.epochs * len(stream)
    return min(whole, max_steps or sys.maxsize)


def epochs_of(stream: CaptionStream, steps: int, done: int) -> Iterator[Iterator[Batch]]:
    """Yield the batches of what is left of each epoch, up to ``steps`` in all, of which some are ``done``."""
    for epoch in range(stream.epoch, math.ceil(steps / len(stream))):
        left = min((epoch + 1) * len(stream), steps) - done
        # The stream comes first: it has to be asked once more to know that its epoch has ended.
        yield (batch for batch, _ in zip(stream, range(left), strict=False))
        done += left


def texts_of(root: str, release: Release, quota: Quota) -> Iterator[str]:
    """Yield the texts that a tokenizer should know: every positive text of the training rows, up to a bound."""
    for row in read_texts(root, release, columns=_TEXTS, split="train", most=TOKENIZER_ROWS, quota=quota):
        yield from (text if isinstance(text, str) else ", ".join(text) for text in row.values() if text)


def stream_state(stream: CaptionStream, counts: Counters) -> dict[str, Any]:
    """Return where ``stream`` is, and what all processes have counted that the end of a training tells."""
    counted = {"texts": dict(counts.texts), "skipped": dict(counts.skipped), "repeated": counts.repeated}
    return {"stream": stream.state_dict(), **counted}


def counts_before(state: Mapping[str, Any]) -> Counters:
    """Return what all processes had counted where the training was cut off; nothing of one that begins."""
    texts, skipped = (Counter(state.get(name, {})) for name in ("texts", "skipped"))
    return Counters(texts=texts, skipped=skipped, repeated=state.get("repeated", 0))


def _mix(text: str) -> Mix | None:
    return Mix(parse_weights(text)) if text else None
