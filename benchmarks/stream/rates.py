"""How near the stream comes to what decoding alone allows, and what texts, negatives and tags cost beside images."""

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.stream.lakes import make_lake
from benchmarks.stream.rate import KINDS

ROWS: Final = 10_240
SIDE: Final = 256
ROUNDS: Final = 5
THREADS: Final = (1, 2)


def measure(folder: Path) -> dict[str, Any]:
    """Return the medians of interleaved rounds, each in a process of its own."""
    lake = folder / "lake"
    make_lake(lake, rows=ROWS, side=SIDE)
    found: defaultdict[str, list[dict[str, float]]] = defaultdict(list)
    for _ in range(ROUNDS):
        for threads in THREADS:
            for kind in KINDS:
                found[f"{kind}_{threads}"].append(_run(lake, kind, threads))
    medians = {
        name: {figure: median(run[figure] for run in runs) for figure in runs[0]} for name, runs in found.items()
    }

    def ratios(one: str, other: str) -> dict[int, float]:
        """Return by threads the median ratio of what ran one after the other: the machine's speed wanders."""
        return {
            threads: round(median(_ratios(found[f"{one}_{threads}"], found[f"{other}_{threads}"])), 3)
            for threads in THREADS
        }

    return {
        "rows": ROWS,
        "rounds": ROUNDS,
        "share_of_decode_limit": ratios("wide", "decode"),
        "wide_to_narrow": ratios("wide", "narrow"),
        "medians": medians,
        "samples_per_second": {name: [run["samples_per_second"] for run in runs] for name, runs in found.items()},
    }


def _ratios(ones: Sequence[Mapping[str, float]], others: Sequence[Mapping[str, float]]) -> list[float]:
    return [one["samples_per_second"] / other["samples_per_second"] for one, other in zip(ones, others, strict=True)]


def _run(lake: Path, kind: str, threads: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.stream.rate", str(lake), kind, "--threads", str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures
