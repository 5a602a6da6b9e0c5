"""The same training from Spark as by torchrun."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.jobs.training_lake import SMALL, facts_of, flags, write_released
from tests.system.said import ROOT

pytestmark = [pytest.mark.spark, pytest.mark.train, pytest.mark.slow]


def run(*argv: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", *argv], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )


def test_spark_trains_the_weights_that_torchrun_does(tmp_path: Path) -> None:
    lake = write_released(tmp_path / "lake")
    job = ["jobs.train_clip", *flags(lake=lake, **SMALL)]
    by_spark = run(*job, "--name=spark", "--spark=2")
    assert (by_spark.returncode, by_spark.stdout) == (0, "train_clip: 3 steps, 48 samples\n"), by_spark.stderr
    by_torchrun = run("torch.distributed.run", "--nproc-per-node=2", "--standalone", "-m", *job, "--name=torchrun")
    assert by_torchrun.returncode == 0, by_torchrun.stderr
    weights = [(lake / "_models" / name / "model.safetensors").read_bytes() for name in ("spark", "torchrun")]
    assert weights[0] == weights[1]
    spark, torchrun = (facts_of(lake, name) for name in ("spark", "torchrun"))
    assert spark["losses"] == torchrun["losses"]
    assert "-train_clip-" in spark["run_id"]
