"""A stage that asks for GPUs is assigned them, and no other stage is: on a cluster whose GPUs are a script's word."""

import json
from pathlib import Path

import pyspark
import pytest

from tests.system.said import ROOT, python

_DISCOVERY = """#!/bin/sh
echo '{"name": "gpu", "addresses": ["4", "7"]}'
"""


@pytest.fixture
def spark_home(tmp_path: Path) -> Path:
    """Spark as it is installed, in a folder of its own: workers write into it."""
    home = tmp_path / "spark"
    home.mkdir()
    for entry in Path(pyspark.__file__).parent.iterdir():
        if entry.name != "work":
            (home / entry.name).symlink_to(entry)
    return home


@pytest.mark.spark
@pytest.mark.slow
def test_only_a_stage_that_asks_for_gpus_is_assigned_them(spark_home: Path, tmp_path: Path) -> None:
    discovery = tmp_path / "gpus.sh"
    discovery.write_text(_DISCOVERY)
    discovery.chmod(0o755)
    paths = {"PYTHONPATH": str(ROOT), "SPARK_HOME": str(spark_home), "SPARK_LOCAL_DIRS": str(tmp_path)}
    program = Path(__file__).with_name("gpu_stages.py")
    said = python(program, discovery, "local-cluster[1,2,1024]", cwd=tmp_path, **paths)
    assert said.code == 0, said.err
    none, whole, half = [json.loads(line) for line in said.out.splitlines() if line.startswith("[")]
    assert {task["gpu"] for task in none} == {None}
    assert {task["gpu"] for task in whole} == {"4", "7"}
    assert {task["gpu"] for task in half} <= {"4", "7"}
    assert sorted(task["partition"] for task in whole) == [0, 1, 2, 3]
