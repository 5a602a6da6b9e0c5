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
    from lakehouse.stream.batch import Batch
    from lakehouse.stream.caption_stream import CaptionStream
    from lakehouse.stream.mix import Mix
    from lakehouse.stream.releases import Release
    from lakehouse.stream.world import World

_HOMES = {
    "Batch": "batch",
    "CaptionStream": "caption_stream",
    "Mix": "mix",
    "Release": "releases",
    "World": "world",
}

__all__ = ["Batch", "CaptionStream", "Mix", "Release", "World"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {__all__}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
