"""What twenty kills at random moments cost, of the driver, of a worker and of the server, while one job captions."""

import hashlib
import itertools
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil
from pyspark.sql import SparkSession

from benchmarks.caption.servers import Server, serving
from benchmarks.samples import add_samples
from lakehouse.lake import open_lake
from lakehouse.small_rows import read_rows
from schemas import TABLES
from schemas.silver import DESCRIPTIONS, RESPONSES

ROWS: Final = 6000
KILLS: Final = 20
IN_FLIGHT: Final = 32
LATENCY: Final = 0.5
_IMAGE_BYTES: Final = 5_000
_ON_THE_WAY: Final = 0.1
"""Seconds that an answer may take from the server's log into the journal."""
_SECONDS: Final = 900
"""Longest that anything is waited for."""


@dataclass
class Job:
    """A job that captions, in a process of its own."""

    command: list[str]
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        """Start it as a session of its own: its whole family can be told from others."""
        self.process = subprocess.Popen(self.command, start_new_session=True, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        """Kill the driver with all that it has started."""
        os.killpg(self.process.pid, signal.SIGKILL)

    def start_again(self) -> None:
        """Start it again, once nothing is left of it."""
        self.process.wait()
        wait_until(lambda: not any(self._family()))
        self.start()

    def kill_a_worker(self) -> None:
        """Kill the process of a task that asks."""
        workers = [one for one in self._family() if "pyspark.daemon" in " ".join(one.cmdline())]
        # The daemon is the oldest; those that it has forked do the work.
        if len(workers) > 1:
            max(workers, key=lambda one: one.create_time()).kill()

    def _family(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter(["status"]):
            with suppress(ProcessLookupError, psutil.NoSuchProcess):
                if os.getsid(process.pid) == self.process.pid and process.info["status"] != psutil.STATUS_ZOMBIE:
                    yield process


def measure(folder: Path, spark: SparkSession) -> dict[str, Any]:
    """Return what was paid again for answers that had come before a kill, and whether the tables are the same."""
    roots = [str(folder / name) for name in ("undisturbed", "killed")]
    for root in roots:
        shutil.rmtree(root, ignore_errors=True)
        add_samples(open_lake(root, spark=spark, tables=TABLES, run_id="bench"), ROWS, image_bytes=_IMAGE_BYTES)
    with _job(folder / "undisturbed.jsonl", roots[0]) as (job, server):
        _end(job)
        undisturbed = server.served()
    with _job(folder / "killed.jsonl", roots[1]) as (job, server):
        kills = list(_kill(job, server))
        _end(job)
        served = server.served()
    again = repaid(served, kills)
    return {
        "rows": ROWS,
        "kills": len(kills),
        "requests_per_answer": len(undisturbed) / ROWS,
        "repaid_answers": len(again),
        "repaid_seconds_before_a_kill": [round(seconds, 3) for seconds in again],
        "asked_again_as_they_were_under_way": len(served) - ROWS,
        "is_as_undisturbed": digest(roots[0]) == digest(roots[1]),
    }


def repaid(served: Iterable[dict[str, Any]], kills: Iterable[tuple[float, float]]) -> list[float]:
    """Return, for each request that was sent again although no kill met the earlier one, how long before the next kill.

    ``kills`` say from when to when each took. Just over ``_ON_THE_WAY``, a machine with other work was slow to send an
    answer that the server had written down already; minutes, or infinity, and the journal has lost it.
    """
    kills, again = list(kills), []
    lasts: dict[str, dict[str, Any]] = {}
    for line in sorted(served, key=lambda line: line["began"]):
        last = lasts.get(line["image"])
        if last and not any(last["began"] <= end and start <= last["ended"] + _ON_THE_WAY for start, end in kills):
            again.append(min((start - last["ended"] for start, _ in kills if start > last["ended"]), default=math.inf))
        lasts[line["image"]] = line
    return again


def digest(root: str) -> str:
    """Return one hash of all that was answered and read, but for times, runs and what it cost to ask."""
    left_out = {"run_id", "seconds", "asked_at", "attempts"}
    lines = [
        json.dumps({name: str(value) for name, value in row.items() if name not in left_out}, sort_keys=True)
        for table in (RESPONSES, DESCRIPTIONS)
        for row in read_rows(root, table)
    ]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


@contextmanager
def _job(log: Path, root: str) -> Iterator[tuple[Job, Server]]:
    log.unlink(missing_ok=True)
    with serving(latency=LATENCY, log=log) as server:
        flags = ["--lake", root, "--model", f"{server.model}&deadline=60", "--max-in-flight", str(IN_FLIGHT)]
        job = Job([sys.executable, "-m", "jobs.describe_images", *flags])
        job.start()
        try:
            yield job, server
        finally:
            with suppress(ProcessLookupError):
                os.killpg(job.process.pid, signal.SIGKILL)


def _kill(job: Job, server: Server) -> Iterator[tuple[float, float]]:
    """Kill in turn, each time when as many answers have come as was drawn; yield from when to when that took."""
    chance = random.Random(20)
    moments = sorted(chance.sample(range(ROWS // 50, ROWS - ROWS // 50), KILLS))
    victims = [(job.kill, job.start_again), (job.kill_a_worker, lambda: None), (server.kill, server.start)]
    for moment, (kill, start) in zip(moments, itertools.cycle(victims), strict=False):
        wait_until(lambda moment=moment: len(server.served()) >= moment or job.process.poll() is not None)  # type: ignore[misc]
        time.sleep(chance.random() / 2)
        began = time.time()
        kill()
        yield began, time.time()
        start()


def _end(job: Job) -> None:
    if job.process.wait(_SECONDS):
        raise RuntimeError(f"the job ended with {job.process.returncode}: {' '.join(job.command)}")


def wait_until(is_so: Callable[[], bool]) -> None:
    """Return when it is so; raise TimeoutError if that takes too long."""
    deadline = time.monotonic() + _SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited for {_SECONDS} s")
        time.sleep(0.02)
