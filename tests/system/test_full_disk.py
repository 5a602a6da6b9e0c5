"""A disk that fills up in the middle of a run costs nothing but the time until there is room."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lakehouse.small_rows import read_rows
from schemas.bronze import PAIRS

pytestmark = [pytest.mark.spark, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
PICTURES = 6
SIDE = 720
"""Pixels: noise of that size is a PNG of 1.5 MB."""


@dataclass(frozen=True)
class SmallDisk:
    """A file system in memory with a size of its own."""

    folder: Path

    def resize(self, megabytes: int) -> None:
        """Make room, or take it."""
        subprocess.run(["mount", "-o", f"remount,size={megabytes}m", str(self.folder)], check=True, timeout=30)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    done = subprocess.run(mount, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield SmallDisk(folder)
    # Lazily: a process that a failed test has left may still hold a file in it.
    subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=30)


def write_noise(folder: Path) -> Path:
    """Write pictures that do not compress, with their texts beside them."""
    folder.mkdir()
    for number in range(PICTURES):
        noise = np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"{number}.png", compress_level=1)
        (folder / f"{number}.txt").write_text(f"Noise number {number}")
    return folder


def ingest(lake: Path, source: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jobs.ingest_pairs", "--lake", str(lake), "--source", str(source)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)


def test_a_run_that_filled_the_disk_is_completed_once_there_is_room(disk: SmallDisk, tmp_path: Path) -> None:
    source, lake = write_noise(tmp_path / "pairs"), disk.folder / "lake"
    cut = ingest(lake, source)
    assert (cut.returncode, cut.stdout) == (1, "")
    errors = [line for line in cut.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, cut.stderr
    assert "the disk is full" in errors[0]
    assert "free some space" in errors[0]
    assert "Traceback" not in cut.stderr
    assert read_rows(str(lake), PAIRS) == []
    disk.resize(64)
    done = ingest(lake, source)
    assert done.returncode == 0, done.stderr
    assert (done.returncode, done.stdout) == (0, f"ingest_pairs: {PICTURES} read, {PICTURES} ingested, 0 rejected\n")
    rows = read_rows(str(lake), PAIRS)
    assert {row["source_uid"]: row["image"] for row in rows} == {
        file.name: file.read_bytes() for file in source.glob("*.png")
    }
    assert len(rows) == PICTURES
