"""Trainers and readers that other people wrote: installed below build/, run in processes of their own, and asked."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.servers.running import beside_project, environment

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SECONDS = 600
"""What two shared cores may take for the longest of them."""

_PARTS = "torchvision, open_clip_train.main, webdataset, datasets, accelerate"


def consumers() -> Path:
    """Return the Python of an environment with all of them; skip where it cannot be had, or does not fit PyTorch."""
    folder = beside_project(environment("consumers", gigabytes=0.1, here=HERE, build=ROOT / "build" / "consumers"))
    python = folder / "bin" / "python"
    done = run(python, "-c", f"import {_PARTS}")
    if done.returncode:
        pytest.skip(f"the consumers do not run beside this PyTorch: {done.stderr.strip().splitlines()[-1]}")
    return python


def run(python: Path, *words: object, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run Python with these words behind it."""
    return subprocess.run(
        [str(python), *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **environ},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def told(python: Path, script: str, *words: object) -> dict[str, Any]:
    """Return what a script of this folder prints in its last line, as JSON."""
    done = run(python, HERE / script, *words)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def torchrun(processes: int) -> Sequence[str]:
    """Return what stands before a script for so many processes to run it together."""
    return ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
