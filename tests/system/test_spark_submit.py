"""A job that is submitted to a cluster, from a bundle and from anywhere, does its work, says so and ends by itself."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from demo.bundle import bundle
from lakehouse.small_rows import read_rows
from schemas.silver import DESCRIPTIONS, RESPONSES, SAMPLES
from tests.system.said import ROOT, Said
from tests.world import World

pytestmark = [pytest.mark.spark, pytest.mark.slow]

QUICK_JAVA = {"JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1"}
"""A JVM of seconds never earns back what its optimising compiler costs."""

MODEL = "fake://identity"
"""Answers with the SHA-256 of the image: a row that got another's answer shows."""


def readme_command(*, code: Path, lake: Path) -> list[str]:
    """Return the README's command, on two executors that know our code from the bundle ``code`` alone."""
    [line] = re.findall(r"^spark-submit .+$", (ROOT / "README.md").read_text(), re.MULTILINE)
    spark_submit, *words = shlex.split(line)
    job = "jobs/describe_images.py"
    places = {"build/multigrain.zip": code, job: ROOT / job, "$PWD/build/demo/lake": lake}
    assert places.keys() <= set(words)
    return [str(Path(sys.executable).with_name(spark_submit)), *(str(places.get(word, word)) for word in words)]


def submit(command: list[str], *, cwd: Path) -> Said:
    ours = ("PYTHONPATH", "SPARK_HOME", "PYSPARK_GATEWAY_PORT", "PYSPARK_GATEWAY_SECRET", "PYSPARK_DRIVER_PYTHON")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**environment, **QUICK_JAVA, "PYSPARK_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def test_a_submitted_job_describes_every_sample(world: World, tmp_path: Path) -> None:
    lake = shutil.copytree(world.lake.root, tmp_path / "lake")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    command = readme_command(code=bundle(ROOT, tmp_path / "code.zip"), lake=lake)
    said = submit([*command, "--model", MODEL], cwd=elsewhere)
    assert said.code == 0, said.out + said.err[-5000:]
    images = {row["sample_id"]: row["image_id"] for row in read_rows(str(lake), SAMPLES)}
    described = {
        row["sample_id"]: row["long_positive"] for row in read_rows(str(lake), DESCRIPTIONS) if row["model"] == MODEL
    }
    assert described == images
    assert len([row for row in read_rows(str(lake), RESPONSES) if row["model"] == MODEL]) == len(images)
    # Spark sends what a job prints on standard error, its progress, to standard output as well.
    *progress, summary = said.out.splitlines()
    assert summary == f"describe_images: {len(images)} described, 0 rejected"
    assert all(line.startswith("describe_images: ") for line in progress), said.out
    assert " ERROR " not in said.err, said.err
    assert list(elsewhere.iterdir()) == []
