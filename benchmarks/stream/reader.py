"""Reads epochs as a world of trainers would, step by step, and writes down what it got: to be killed at any moment.

    python -m benchmarks.stream.reader LAKE LOG --size 4 --threads 2 --until 10

All processes of the world are streams of this one process, which take a batch each in turn. A line of the log is a
step, with the state after it; the next life goes on behind the last whole line, in a world of another size.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.stream.lakes import RELEASE
from lakehouse.stream import CaptionStream, World


def last_step(log: Path) -> dict[str, Any] | None:
    """Return the last whole line of ``log``, after taking away what was cut off behind it; None if there is none."""
    if not log.exists():
        return None
    kept, _, cut = log.read_bytes().rpartition(b"\n")
    if cut:
        log.write_bytes(kept + b"\n" if kept else b"")
    return json.loads(kept.rpartition(b"\n")[2]) if kept else None


def steps(streams: Sequence[CaptionStream]) -> Iterator[tuple[int, list[str]]]:
    """Yield the epoch and the ids of all ranks' rows, for each step of what is left of this epoch."""
    epoch = streams[0].epoch
    for batches in zip(*streams, strict=True):
        yield epoch, [sample_id for batch in batches for sample_id in batch.sample_id]


def main(argv: Sequence[str]) -> int:
    """Read from where the log ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lake")
    parser.add_argument("log", type=Path)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--rows", type=int, required=True, help="rows a step, over the whole world")
    parser.add_argument("--until", type=int, required=True, help="epochs")
    args = parser.parse_args(argv)
    options = {"batch_size": args.rows // args.size, "image_size": 32, "threads": args.threads}
    streams = [
        CaptionStream(args.lake, release=RELEASE, world=World(rank, args.size), **options) for rank in range(args.size)
    ]
    if (last := last_step(args.log)) is not None:
        for stream in streams:
            stream.load_state_dict(last["state"])
    with args.log.open("a") as log:
        while streams[0].epoch < args.until:
            for epoch, ids in steps(streams):
                state = [stream.state_dict() for stream in streams]
                assert all(one == state[0] for one in state)
                log.write(json.dumps({"epoch": epoch, "ids": ids, "state": state[0]}) + "\n")
                log.flush()
    os._exit(0)  # threads that read ahead need not be waited for


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
