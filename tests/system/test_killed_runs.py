"""A run that is killed, with all its processes, ends when it is run again as if nothing had happened."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from jobs import evaluate_clip, ingest_pairs, train_clip
from lakehouse.errors import BadInput
from lakehouse.lake import Lake
from tests.system.digests import contents
from tests.world import World

pytestmark = [pytest.mark.spark, pytest.mark.slow]

ROOT = Path(__file__).parents[2]


def kill_while_running(command: list[str], is_time: Callable[[], bool]) -> int:
    """Start ``command`` in a process group of its own, kill all of it when ``is_time``, and return the group's id."""
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True, stdout=nowhere, stderr=nowhere) as run:
        try:
            wait_until(lambda: is_time() or run.poll() is not None, seconds=240)
            assert run.poll() is None, f"the run ended with {run.returncode} before it could be killed"
        finally:
            os.killpg(run.pid, signal.SIGKILL)
    return run.pid


def wait_until(is_so: Callable[[], bool], *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not so within {seconds} seconds"
        time.sleep(0.003)


def processes_of(session: int) -> list[str]:
    """Return the command lines of all processes that a killed run has left, in whatever process group."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "status"]):
        with suppress(ProcessLookupError):
            if os.getsid(process.pid) == session and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.info["cmdline"] or [])[:200])
    return found


def test_an_ingestion_killed_again_and_again_ends_in_the_same_lake(world: World, lake: Lake, tmp_path: Path) -> None:
    ingest_pairs.JOB.run(lake, ingest_pairs.Config(lake.root, str(world.source)))
    again = tmp_path / "again"
    command = [sys.executable, "-m", "jobs.ingest_pairs", "--lake", str(again), "--source", str(world.source)]
    moments: list[Callable[[], bool]] = [
        lambda: (again / "ops/rejects/_delta_log/00000000000000000001.json").exists(),
        lambda: any((again / "bronze/pairs").glob("*.parquet")),
    ]
    for is_time in moments:
        killed = kill_while_running(command, is_time)
        wait_until(lambda group=killed: not processes_of(group), seconds=30)  # type: ignore[misc]
    # That it starts at all says that the dead hold no lock.
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert contents(str(again)) == contents(lake.root)


@pytest.mark.train
def test_a_training_that_was_killed_leaves_no_model_until_it_is_run_to_its_end(world: World) -> None:
    from udfs.clip.model import load_clip

    settings = train_clip.Config(
        world.lake.root, name="killed", image_size=32, batch_size=16, max_steps=12, vocab_size=400
    )
    command = [sys.executable, "-m", "jobs.train_clip"]
    for name in ("lake", "name", "image_size", "batch_size", "max_steps", "vocab_size"):
        command += [f"--{name.replace('_', '-')}", str(getattr(settings, name))]
    folder = Path(world.lake.root) / "_models" / settings.name
    for first_trace in ("tensorboard/events.*", "config.json"):
        killed = kill_while_running(command, lambda trace=first_trace: any(folder.glob(trace)))  # type: ignore[misc]
        wait_until(lambda group=killed: not processes_of(group), seconds=30)  # type: ignore[misc]
        with pytest.raises(BadInput, match="run train_clip first"):
            evaluate_clip.JOB.run(evaluate_clip.Config(world.lake.root, name=settings.name))
    assert train_clip.JOB.run(settings) == {"steps": 12, "samples": 192}
    model, _ = load_clip(folder)
    assert model.clip.config.vision_config.image_size == 32
    assert train_clip.JOB.run(settings) == {}
