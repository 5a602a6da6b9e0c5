"""The trainer's side: batches of images and texts from a pinned release, without Spark and without a JVM.

    from lakehouse.stream import CaptionStream

    stream = CaptionStream("lake", release="demo", batch_size=256, image_size=224)
    while stream.epoch < 30:
        for batch in stream:
            ...

Importing this package loads neither torch nor OpenCV nor petastorm; making a stream does.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lakehouse.stream.augment import RandomResizedCrop
    from lakehouse.stream.batch import Batch
    from lakehouse.stream.caption_stream import CaptionStream
    from lakehouse.stream.long_texts import DropLong, FirstSentences, SentenceSpan
    from lakehouse.stream.mix import Mix
    from lakehouse.stream.releases import Release
    from lakehouse.stream.world import World

_HOMES = {
    "Batch": "batch",
    "CaptionStream": "caption_stream",
    "DropLong": "long_texts",
    "FirstSentences": "long_texts",
    "Mix": "mix",
    "RandomResizedCrop": "augment",
    "Release": "releases",
    "SentenceSpan": "long_texts",
    "World": "world",
}

__all__ = [
    "Batch",
    "CaptionStream",
    "DropLong",
    "FirstSentences",
    "Mix",
    "RandomResizedCrop",
    "Release",
    "SentenceSpan",
    "World",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {__all__}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
