"""Runs one loader for an epoch, in the environment that it needs: prints a line of JSON.

    python -m benchmarks.stream.loaders.run convert NAME LAKE DATA
    python -m benchmarks.stream.loaders.run stream NAME LAKE DATA --setting '{"workers": 2, "threads": 1}'

Figures are taken from the first batch to the last. What came out is compared with the lake after the clock stopped:
which rows came, in what order, with which text, and whether images are a square of the image they should be.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil

from benchmarks.stream.loaders import LOADERS
from benchmarks.stream.loaders.order import order_figures
from benchmarks.stream.loaders.rows import rows

_LOOK_S = 0.5
_IMAGES_KEPT = 16
_SIDE = 224


@dataclass
class Epoch:
    """What an epoch gave, and what it took."""

    first: float = 0.0
    last: float = 0.0
    cpu_ms_per_sample: float = 0.0
    sizes: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    images: dict[str, Any] = field(default_factory=dict)


def read(batches: Iterable[Any]) -> Epoch:
    """Read all batches. Raise if one has another form than asked for."""
    epoch, me = Epoch(), psutil.Process()
    cpu = looked = 0.0
    for image, text, sample_id in batches:
        now = epoch.last = time.monotonic()
        if not epoch.sizes:
            epoch.first, cpu = now, _cpu_s(me)
        elif now > looked + _LOOK_S:
            epoch.cpu_ms_per_sample = 1000 * (_cpu_s(me) - cpu) / (sum(epoch.sizes[1:]) + len(text))
            looked = now
        _check_form(image, text, sample_id)
        epoch.sizes.append(len(text))
        epoch.ids.extend(sample_id)
        epoch.texts.extend(text)
        if len(epoch.images) < _IMAGES_KEPT:
            epoch.images[sample_id[-1]] = np.array(image[-1])
    return epoch


def _cpu_s(me: psutil.Process) -> float:
    """Return the seconds of this process and its descendants, also of those that have ended."""
    return sum(sum(process.cpu_times()[:4]) for process in [me, *me.children(recursive=True)])


def _check_form(image: Any, text: Sequence[str], sample_id: Sequence[str]) -> None:
    shapes = [(len(text), _SIDE, _SIDE, 3), (len(text), 3, _SIDE, _SIDE)]
    if tuple(image.shape) not in shapes or "uint8" not in str(image.dtype) or len(sample_id) != len(text):
        raise ValueError(f"a batch of {image.dtype} {tuple(image.shape)} with {len(text)} texts, {len(sample_id)} keys")


def figures(epoch: Epoch, truth: Mapping[str, Mapping[str, Any]], started: float) -> dict[str, Any]:
    """Return the figures of an epoch. Raise if a row has another row's text or image."""
    for sample_id, text in zip(epoch.ids, epoch.texts, strict=True):
        if text != truth[sample_id]["text"]:
            raise ValueError(f"row {sample_id} has the text {text!r}, not {truth[sample_id]['text']!r}")
    for sample_id, image in epoch.images.items():
        if not is_square_of(image, truth[sample_id]["image"]):
            raise ValueError(f"row {sample_id} has an image that is no part of its own")
    seconds = epoch.last - epoch.first
    return {
        "samples_per_second": round(sum(epoch.sizes[1:]) / seconds, 1),
        "cpu_ms_per_sample": round(epoch.cpu_ms_per_sample, 4),
        "seconds_to_first_batch": round(epoch.first - started, 2),
        "batches": len(epoch.sizes),
        **order_figures([truth[sample_id]["number"] for sample_id in epoch.ids]),
    }


def is_square_of(image: Any, encoded: bytes) -> bool:
    """Return whether the image is a part of the one that is encoded, up to what decoders may differ by."""
    whole = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    image = image if image.shape[-1] == 3 else image.transpose(1, 2, 0)
    distance = cv2.matchTemplate(whole, np.ascontiguousarray(image), cv2.TM_SQDIFF).min()
    return bool(distance / image.size < 4)


def main(argv: Sequence[str]) -> int:
    """Convert or stream."""
    started = time.monotonic() - (time.time() - psutil.Process().create_time())
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["convert", "stream"])
    parser.add_argument("name")
    parser.add_argument("lake", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--setting", type=json.loads, default={})
    args = parser.parse_args(argv)
    module = import_module(f"benchmarks.stream.loaders.{args.name}")
    if args.what == "convert":
        began = time.monotonic()
        module.convert(args.lake, args.data)
        told = {"version": version(LOADERS[args.name].package), "seconds": round(time.monotonic() - began, 1)}
    else:
        epoch = read(module.batches(args.data, **args.setting))
        told = figures(epoch, {row["sample_id"]: row for row in rows(args.lake)}, started)
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
