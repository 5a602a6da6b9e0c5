"""What a training tells: figures of each step for TensorBoard, and facts about the whole for its folder."""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lakehouse import peers
from lakehouse.stream import CaptionStream
from lakehouse.stream.counters import Counters
from udfs.clip.training import Tally


@contextmanager
def speaking(folder: Path, stream: CaptionStream, *, begun: int) -> Iterator[dict[str, Any]]:
    """Give what ``train`` tells of itself by: the first process writes and speaks for all."""
    from torch.utils.tensorboard import SummaryWriter

    if peers.rank():
        yield {"progress": lambda pace: None}
        return
    folder.mkdir(parents=True, exist_ok=True)
    if begun:
        print(f"note: goes on from step {begun:,}, where an earlier run was cut off", file=sys.stderr)
    with SummaryWriter(str(folder / "tensorboard"), purge_step=begun + 1 if begun else None) as log:
        yield {"log": log, "watch": lambda: stream_figures(stream.counters)}


def stream_figures(counters: Counters) -> dict[str, float]:
    """Return every count of a stream by name, a count by kind under each kind's, and the realised mix.

    They are logged for the first process alone, since it began: those of all processes, in all their lives, are in
    ``training.json`` (see ``facts_of``).

    >>> counters = Counters(rows=8)
    >>> counters.texts.update(alt_text=6, long_positive=2)
    >>> figures = stream_figures(counters)
    >>> figures["stream/rows"], figures["stream/texts/alt_text"], figures["stream/realised_mix/alt_text"]
    (8, 6, 0.75)
    """
    counted = {**vars(counters), "realised_mix": counters.realised_mix}
    parts = (_by_kind(name, value) for name, value in counted.items())
    return {f"stream/{name}": value for part in parts for name, value in part.items()}


def _by_kind(name: str, value: float | Mapping[str, float]) -> dict[str, float]:
    return {f"{name}/{kind}": count for kind, count in value.items()} if isinstance(value, Mapping) else {name: value}


def counts_of_all(own: Counters, before: Counters) -> Counters:
    """Return texts, skipped and repeated rows of all processes' streams, on top of what was counted before.

    Every process must ask.
    """
    every = [before, *peers.everyones(own)]
    return Counters(
        repeated=sum(one.repeated for one in every),
        skipped=sum((one.skipped for one in every), Counter()),
        texts=sum((one.texts for one in every), Counter()),
    )


def facts_of(tally: Tally, rows: int, counts: Counters) -> dict[str, Any]:
    """Return what a finished training says of itself: ``rows`` are those of an epoch, ``counts`` all processes'."""
    return {
        "steps": tally.steps,
        "samples": tally.samples,
        "seconds": round(tally.seconds, 2),
        "samples_per_second": round(tally.samples / tally.seconds, 1),
        "losses": [round(loss, 4) for loss in tally.losses],
        "realised_mix": {name: round(share, 4) for name, share in counts.realised_mix.items()},
        "rows": rows,
        "skipped": counts.skipped.total(),
        "repeated": counts.repeated,
    }
