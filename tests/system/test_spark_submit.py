"""A job that is submitted to a cluster, from a bundle and from anywhere, does its work, says so and ends by itself."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from demo.bundle import bundle
from lakehouse.small_rows import read_rows
from schemas.silver import DESCRIPTIONS, RESPONSES, SAMPLES
from tests.world import World

pytestmark = [pytest.mark.spark, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
QUICK_JAVA = {"JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1"}
"""A JVM of seconds never earns back what its optimising compiler costs."""

MODEL = "fake://identity"
"""Answers with the SHA-256 of the image: a row that got another's answer shows."""


def submit(job: str, *flags: str, code: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run ``job`` on two executors that know our code from the bundle alone."""
    ours = ("PYTHONPATH", "SPARK_HOME", "PYSPARK_GATEWAY_PORT", "PYSPARK_GATEWAY_SECRET", "PYSPARK_DRIVER_PYTHON")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    command = [str(Path(sys.executable).with_name("spark-submit")), "--master", "local-cluster[2,1,1024]"]
    command += ["--py-files", str(code), str(ROOT / "jobs" / f"{job}.py"), *flags]
    return subprocess.run(
        command,
        cwd=cwd,
        env={**environment, **QUICK_JAVA, "PYSPARK_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_submitted_job_describes_every_sample(world: World, tmp_path: Path) -> None:
    lake = shutil.copytree(world.lake.root, tmp_path / "lake")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    code = bundle(ROOT, tmp_path / "code.zip")
    done = submit("describe_images", "--lake", str(lake), "--model", MODEL, code=code, cwd=elsewhere)
    assert done.returncode == 0, done.stdout + done.stderr[-5000:]
    images = {row["sample_id"]: row["image_id"] for row in read_rows(str(lake), SAMPLES)}
    described = {
        row["sample_id"]: row["long_positive"] for row in read_rows(str(lake), DESCRIPTIONS) if row["model"] == MODEL
    }
    assert described == images
    assert len([row for row in read_rows(str(lake), RESPONSES) if row["model"] == MODEL]) == len(images)
    # Spark sends what a job prints on standard error, its progress, to standard output as well.
    *progress, summary = done.stdout.splitlines()
    assert summary == f"describe_images: {len(images)} described, 0 rejected"
    assert all(line.startswith("describe_images: ") for line in progress), done.stdout
    assert " ERROR " not in done.stderr, done.stderr
    assert list(elsewhere.iterdir()) == []
