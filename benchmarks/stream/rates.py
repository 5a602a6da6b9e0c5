"""How near the stream comes to what decoding alone allows, and what texts, negatives and tags cost beside images."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.stream.lakes import make_lake

ROWS: Final = 10_240
SIDE: Final = 256
PROCESSES: Final = 3
PASSES: Final = 5
THREADS: Final = (1, 2)

Turn = Mapping[str, Mapping[str, float]]
"""Figures of each kind, measured one after the other."""


def measure(folder: Path) -> dict[str, Any]:
    """Return medians by number of threads; ratios are those of neighbours in time."""
    lake = folder / "lake"
    make_lake(lake, rows=ROWS, side=SIDE)
    turns: dict[int, list[Turn]] = {threads: [] for threads in THREADS}
    for _ in range(PROCESSES):
        for threads in THREADS:
            turns[threads] += _run(lake, threads)
    return {
        "rows": ROWS,
        "processes": PROCESSES,
        "passes": PASSES,
        "share_of_decode_limit": {threads: _ratio(turns[threads], "wide", "decode") for threads in THREADS},
        "wide_to_narrow": {threads: _ratio(turns[threads], "wide", "narrow") for threads in THREADS},
        "medians": {threads: _medians(turns[threads]) for threads in THREADS},
        "samples_per_second": {
            threads: {kind: [turn[kind]["samples_per_second"] for turn in turns[threads]] for kind in turns[threads][0]}
            for threads in THREADS
        },
    }


def _ratio(turns: Sequence[Turn], one: str, other: str) -> float:
    rates = [(turn[one]["samples_per_second"], turn[other]["samples_per_second"]) for turn in turns]
    return round(median(rate / of for rate, of in rates), 3)


def _medians(turns: Sequence[Turn]) -> dict[str, dict[str, float]]:
    return {
        kind: {figure: round(median(turn[kind][figure] for turn in turns), 4) for figure in figures}
        for kind, figures in turns[0].items()
    }


def _run(lake: Path, threads: int) -> list[Turn]:
    command = [sys.executable, "-m", "benchmarks.stream.rate", str(lake)]
    command += ["--threads", str(threads), "--passes", str(PASSES)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    turns: list[Turn] = json.loads(done.stdout)
    return turns
