"""A disk that fills up in the middle of a run costs nothing but the time until there is room."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from jobs import ingest_pairs
from lakehouse.small_rows import read_rows
from schemas.bronze import PAIRS
from tests.system.said import Said, call

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.spark, pytest.mark.slow]

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
        pytest.skip("not tested here: only root on Linux may mount the small file system that fills up")
    done = subprocess.run(mount, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        pytest.skip(f"not tested here: the small file system cannot be mounted: {done.stderr.strip()}")
    yield SmallDisk(folder)
    # Lazily: Spark may still hold a file in it.
    subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=30)


def write_noise(folder: Path) -> Path:
    """Write pictures that do not compress, with their texts beside them."""
    folder.mkdir()
    for number in range(PICTURES):
        noise = np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"{number}.png", compress_level=1)
        (folder / f"{number}.txt").write_text(f"Noise number {number}")
    return folder


def ingest(lake: Path, source: Path) -> Said:
    return call(ingest_pairs.JOB.main, "--lake", lake, "--source", source)


def test_a_run_that_filled_the_disk_is_completed_once_there_is_room(
    disk: SmallDisk, spark: "SparkSession", tmp_path: Path
) -> None:
    source, lake = write_noise(tmp_path / "pairs"), disk.folder / "lake"
    cut = ingest(lake, source)
    assert "the disk is full" in cut.error
    assert "free some space" in cut.error
    assert cut.out == ""
    assert read_rows(str(lake), PAIRS) == []
    disk.resize(64)
    done = ingest(lake, source)
    assert done.code == 0, done.err
    assert done.out == f"ingest_pairs: {PICTURES} read, {PICTURES} ingested, 0 rejected\n"
    rows = read_rows(str(lake), PAIRS)
    assert len(rows) == PICTURES
    assert {row["source_uid"]: row["image"] for row in rows} == {
        file.name: file.read_bytes() for file in source.glob("*.png")
    }
