"""A run that is killed, with all its processes, ends when it is run again as if nothing had happened."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from jobs import evaluate_clip, ingest_pairs, train_clip
from schemas.bronze import PAIRS
from schemas.ops import REJECTS
from tests.system.digests import Contents, contents
from tests.system.said import ROOT, call
from tests.world import World

pytestmark = [pytest.mark.spark, pytest.mark.slow]


def kill_once(is_time: Callable[[], bool], job: str, *flags: object) -> None:
    """Start ``job`` as a session of its own, kill it once ``is_time``, and wait until none of its processes is left."""
    command = [sys.executable, "-m", f"jobs.{job}", *map(str, flags)]
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True, stdout=nowhere, stderr=nowhere) as run:
        try:
            wait_until(lambda: is_time() or run.poll() is not None, seconds=240)
            assert run.poll() is None, f"the run ended with {run.returncode} before it could be killed"
        finally:
            os.killpg(run.pid, signal.SIGKILL)
    wait_until(lambda: not processes_of(run.pid), seconds=30)


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


def taken_in(root: str) -> Contents:
    """Return what ingestion has written into a lake: the pairs, and those that it turned away."""
    found = contents(root, [PAIRS, REJECTS])
    turned_away = [line for line in found[REJECTS.name] if f'"stage": "{ingest_pairs.JOB.name}"' in line]
    return {**found, REJECTS.name: turned_away}


def test_an_ingestion_killed_while_it_writes_ends_in_the_same_lake(world: World, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    flags = ("--lake", lake, "--source", world.source)
    kill_once(lambda: any((lake / "bronze/pairs").glob("*.parquet")), "ingest_pairs", *flags)
    # That it starts at all says that the dead hold no lock.
    done = call(ingest_pairs.JOB.main, *flags)
    assert done.code == 0, done.err
    assert taken_in(str(lake)) == taken_in(world.lake.root)


SMALL = ("--name", "killed", "--image-size", 32, "--batch-size", 16, "--vocab-size", 400)
"""Flags of a small training."""


@pytest.fixture
def lake(world: World, tmp_path: Path) -> Path:
    """A lake with a release, to train on."""
    return Path(shutil.copytree(world.lake.root, tmp_path / "lake"))


def assert_there_is_no_model(lake: Path) -> None:
    refused = call(evaluate_clip.JOB.main, "--lake", lake, "--name", "killed").error
    assert (
        refused == f"error: no finished training in '{lake}/_models/killed': run train_clip first, or name a --release"
    )


@pytest.mark.train
def test_a_training_that_was_killed_leaves_no_model_until_it_is_run_to_its_end(lake: Path) -> None:
    from udfs.clip.model import load_clip

    folder = lake / "_models" / "killed"
    # More epochs than it can live: however late the kill comes, it comes in the middle.
    endless = ("--lake", lake, *SMALL, "--epochs", 1_000_000)
    kill_once(lambda: any(folder.glob("tensorboard/events.*")), "train_clip", *endless)
    assert_there_is_no_model(lake)
    done = call(train_clip.JOB.main, "--lake", lake, *SMALL, "--max-steps", 12)
    assert (done.code, done.out) == (0, "train_clip: 12 steps, 192 samples\n"), done.err
    model, _ = load_clip(folder)
    assert model.clip.config.vision_config.image_size == 32
    assert call(train_clip.JOB.main, "--lake", lake, *SMALL, "--max-steps", 12).out == "train_clip: nothing new\n"


@pytest.mark.train
def test_a_training_that_was_killed_goes_on_to_the_same_weights(lake: Path) -> None:
    flags = ("--lake", lake, *SMALL[2:], "--max-steps", 60, "--checkpoint-minutes", 1e-6)
    folder = lake / "_models" / "killed"
    kill_once((folder / "checkpoint.pt").exists, "train_clip", *flags, "--name", "killed")
    resumed = call(train_clip.JOB.main, *flags, "--name", "killed")
    assert "goes on from step " in resumed.err
    assert call(train_clip.JOB.main, *flags, "--name", "whole").code == resumed.code == 0
    weights = [(lake / "_models" / name / "model.safetensors").read_bytes() for name in ("killed", "whole")]
    assert weights[0] == weights[1]
    facts = [json.loads((lake / "_models" / name / "training.json").read_text()) for name in ("killed", "whole")]
    assert [facts[0][name] for name in ("losses", "samples")] == [facts[1][name] for name in ("losses", "samples")]
    assert not (folder / "checkpoint.pt").exists()


@pytest.mark.train
def test_a_training_that_dies_behind_its_last_step_leaves_no_model(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from udfs.clip.model import save_clip

    folder = lake / "_models" / "killed"
    folder.mkdir(parents=True)
    # Of an earlier training: it says nothing of the weights that lie there now.
    (folder / "training.json").write_text('{"settings": {}}')

    def save_and_die(*arguments: Any) -> None:
        save_clip(*arguments)
        raise OSError("the machine is gone")

    monkeypatch.setattr("udfs.clip.run.save_clip", save_and_die)
    died = call(train_clip.JOB.main, "--lake", lake, *SMALL, "--max-steps", 1).error
    assert died.startswith("error: the machine is gone")
    assert (folder / "model.safetensors").exists()
    assert_there_is_no_model(lake)
