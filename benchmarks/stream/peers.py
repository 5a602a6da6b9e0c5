"""How fast other people's loaders give the same batches, in the same run: see ``benchmarks.stream.loaders``.

The first round tries every setting of every loader; the fastest setting of each goes on to the later rounds. Rounds are
interleaved, each run is a process of its own, and the data lie in the page cache. Memory is the sum over a loader's
processes, with pages that they share counted once.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

import psutil

from benchmarks.stream.environments import NotInstalled, python_of
from benchmarks.stream.lakes import make_lake
from benchmarks.stream.loaders import LOADERS, OURS, Loader, Setting

ROWS: Final = 8_192
SIDE: Final = 256
ROUNDS: Final = 3
_HERE: Final = Path(__file__).parent / "loaders"
_LONGEST_S: Final = 300
_LOOK_S: Final = 0.25

Figures = dict[str, Any]


class NotRun(Exception):
    """A loader could not be run; says why."""


@dataclass
class Course:
    """What a loader did so far: figures of each round by setting, and why it stopped, if it did."""

    name: str
    loader: Loader
    python: str = sys.executable
    converted: Figures = field(default_factory=dict)
    runs: dict[str, list[Figures]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def settings(self) -> Sequence[Setting]:
        """Return what to run in this round: everything at first, then the fastest."""
        return [json.loads(self.best())] if self.runs else [] if self.refused else self.loader.settings

    def best(self) -> str:
        """Return the setting of the highest rate."""
        return max(self.runs, key=lambda setting: _rate(self.runs[setting]))


def measure(folder: Path, *, rows: int = ROWS, rounds: int = ROUNDS, names: Sequence[str] = tuple(LOADERS)) -> Figures:
    """Return each loader's figures, and how many times as fast as the best of the others ours is."""
    lake = folder / "lake"
    make_lake(lake, rows=rows, side=SIDE)
    courses = [_prepared(Course(name, LOADERS[name]), lake, folder) for name in names]
    for number in range(rounds):
        for course in courses:
            for setting in course.settings():
                _run_once(course, setting, lake, folder, say=f"round {number + 1} of {rounds}")
    told = {course.name: _told(course) for course in courses}
    rates = {name: figures["samples_per_second"] for name, figures in told.items() if "samples_per_second" in figures}
    ours = rates.pop(OURS, None)
    best = max(rates, key=lambda name: rates[name], default=None)
    ratio = round(ours / rates[best], 3) if ours and best else None
    return {"rows": rows, "rounds": rounds, "ratio_to_best_peer": ratio, "best_peer": best, "loaders": told}


def _prepared(course: Course, lake: Path, folder: Path) -> Course:
    """Install what the loader needs, and convert the lake to its format."""
    data = folder / course.name
    data.mkdir()
    try:
        if course.loader.environment:
            course.python = str(python_of(_HERE / f"requirements-{course.loader.environment}.txt"))
        course.converted = _process(course, "convert", lake, data)
    except (NotInstalled, NotRun) as error:
        course.refused["convert"] = str(error)
        return course
    size = sum(file.stat().st_size for file in data.rglob("*") if file.is_file() and not file.is_symlink())
    course.converted["megabytes"] = round(size / 1e6)
    return course


def _run_once(course: Course, setting: Setting, lake: Path, folder: Path, *, say: str) -> None:
    key = json.dumps(setting)
    try:
        figures = _process(course, "stream", lake, folder / course.name, "--setting", key)
    except NotRun as error:
        course.refused[key] = str(error)
        print(f"{say}: {course.name} {key}: {error}", file=sys.stderr)
        return
    course.runs.setdefault(key, []).append(figures)
    print(f"{say}: {course.name} {key}: {figures}", file=sys.stderr, flush=True)


def _process(course: Course, what: str, lake: Path, data: Path, *options: str) -> Figures:
    """Return what the loader's own process prints, with its memory."""
    module = ["-W", "ignore", "-m", "benchmarks.stream.loaders.run"]
    command = [course.python, *module, what, course.name, str(lake), str(data), *options]
    said, errors = data.with_suffix(".out"), data.with_suffix(".log")
    with said.open("w") as out, errors.open("w") as log:
        process = subprocess.Popen(command, stdout=out, stderr=log, env=_environ(), start_new_session=True)
    most = _watched(process)
    lines = [line for line in said.read_text(errors="replace").splitlines() if line.startswith("{")]
    if process.returncode or not lines:
        last = " ".join(errors.read_text(errors="replace").split("\n")[-3:]).strip()[-300:]
        raise NotRun(f"ended with {process.returncode}: {last}")
    figures: Figures = json.loads(lines[-1])
    return {**figures, "rss_mb": most >> 20}


def _environ() -> dict[str, str]:
    quiet = {"HF_HUB_OFFLINE": "1", "RAY_USAGE_STATS_ENABLED": "0", "DO_NOT_TRACK": "1"}
    return {**os.environ, **quiet, "PYTHONPATH": str(Path.cwd())}


def _watched(process: "subprocess.Popen[bytes]") -> int:
    """Wait for the process; return the most bytes that it and its descendants had at a time."""
    me, most, until = psutil.Process(process.pid), 0, time.monotonic() + _LONGEST_S
    while process.poll() is None and time.monotonic() < until:
        with suppress(psutil.NoSuchProcess):
            most = max(most, sum(map(_bytes, [me, *me.children(recursive=True)])))
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # whoever outlived it, and it, where it took too long
    process.wait()
    return most


def _bytes(process: psutil.Process) -> int:
    with suppress(psutil.Error, OSError):
        return int(process.memory_full_info().pss)
    return 0


def _told(course: Course) -> Figures:
    """Return the medians of the best setting's rounds, and what each setting gave at first."""
    converted = dict(course.converted)
    told: Figures = {
        "package": course.loader.package,
        "version": converted.pop("version", None),
        "converted": converted,
    }
    if course.refused:
        told["refused"] = course.refused
    if not course.runs:
        return told
    best = course.best()
    runs = course.runs[best]
    return {
        **told,
        **{figure: median(run[figure] for run in runs) for figure in runs[0]},
        "setting": json.loads(best),
        "rounds": [run["samples_per_second"] for run in runs],
        "tried": {setting: found[0]["samples_per_second"] for setting, found in course.runs.items()},
    }


def _rate(runs: Sequence[Mapping[str, Any]]) -> float:
    return float(median(run["samples_per_second"] for run in runs))
