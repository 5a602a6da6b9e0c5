"""How fast images come on this machine, decoded alone and through the stream: prints a line of JSON.

    python -m benchmarks.stream.rate LAKE --threads 2 --passes 4

``decode`` decodes images that lie in memory, and does nothing else: no stream can be faster. ``wide`` streams images
with the release's mix of texts, negatives and tags; ``narrow`` with the alt-text alone. ``read`` is all that ``wide``
does before it decodes: what ``wide`` costs above both together is the making of batches.

The kinds take turns in one process: from one process to the next, and within a minute, the speed of a shared machine
changes by more than what is to be measured.
"""

import argparse
import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import pyarrow.parquet as pq

from benchmarks.stream.lakes import RELEASE
from lakehouse.stream import CaptionStream, Mix
from lakehouse.stream.augment import View
from lakehouse.stream.batch import Pixels
from lakehouse.stream.carrier import Work, reading
from lakehouse.stream.decode import decode_view

BATCH: Final = 256
SIDE: Final = 224
_ROWS_A_JOB: Final = 16

Pass = Callable[[], Iterator[int]]
"""Goes once through the lake; gives the number of rows of each batch."""


def decode(lake: str, threads: int) -> Pass:
    """Decode all images."""
    images = [image for file in sorted(Path(lake, "gold/training").glob("*.parquet")) for image in _images(file)]
    places = np.empty((4, BATCH, SIDE, SIDE, 3), np.uint8)

    def job(begin: int) -> int:
        end = min(begin + _ROWS_A_JOB, len(images))
        for at in range(begin, end):
            complaint = decode_view(images[at], places[at // BATCH % len(places), at % BATCH], View(0.5, 0.5))
            assert complaint is None
        return end - begin

    def once() -> Iterator[int]:
        with ThreadPoolExecutor(threads) as executor:
            yield from executor.map(job, range(0, len(images), _ROWS_A_JOB))

    return once


def _images(file: Path) -> Iterator[Pixels]:
    for image in pq.read_table(file, columns=["image"]).column("image"):
        yield np.frombuffer(image.as_buffer(), np.uint8)


def wide(lake: str, threads: int) -> Pass:
    """Stream with texts, negatives and tags."""
    stream = CaptionStream(lake, release=RELEASE, batch_size=BATCH, image_size=SIDE, threads=threads)
    return lambda: map(len, stream)


def narrow(lake: str, threads: int) -> Pass:
    """Stream with one text a row."""
    texts, negatives = Mix(alt_text=1), Mix()
    stream = CaptionStream(
        lake, release=RELEASE, batch_size=BATCH, image_size=SIDE, threads=threads, mix=texts, negatives=negatives
    )
    return lambda: map(len, stream)


def read(lake: str, threads: int) -> Pass:
    """Read the pieces of row groups from disk, and choose texts."""
    stream = CaptionStream(lake, release=RELEASE, batch_size=BATCH, image_size=SIDE, threads=threads)
    order = stream._order()
    work = Work(stream._plan, order, stream._recipe())
    segments = order.segments(stream.world, 0, stream.rows)

    def once() -> Iterator[int]:
        with reading(work, segments, threads=threads, patience_s=60) as chunks:
            yield from (len(chunk.sample_ids) for chunk in chunks)

    return once


KINDS: Final[Mapping[str, Callable[[str, int], Pass]]] = {
    "decode": decode,
    "read": read,
    "wide": wide,
    "narrow": narrow,
}


def measured(once: Pass) -> dict[str, float]:
    """Measure a pass from its first batch to its last: beginning costs an epoch the same however long it is."""
    batches, began = once(), time.monotonic()
    next(batches)
    first, cpu = time.monotonic(), time.process_time()
    rows = sum(batches)
    seconds = time.monotonic() - first
    return {
        "samples_per_second": round(rows / seconds, 1),
        "cpu_ms_per_sample": round(1000 * (time.process_time() - cpu) / rows, 4),
        "seconds_to_first_batch": round(first - began, 3),
    }


def main(argv: Sequence[str]) -> int:
    """Measure each kind in turn, several times, after a pass that touches all memory for the first time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lake")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--passes", type=int, required=True)
    args = parser.parse_args(argv)
    cv2.setNumThreads(0)
    kinds = {name: kind(args.lake, args.threads) for name, kind in KINDS.items()}
    for once in kinds.values():
        deque(once(), maxlen=0)
    passes = [{name: measured(once) for name, once in kinds.items()} for _ in range(args.passes)]
    print(json.dumps(passes))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
