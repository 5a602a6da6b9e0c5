"""A lake with a release to train on, made without Spark: for trainings as a command."""

import json
from pathlib import Path
from typing import Any

from lakehouse.lake_mark import MARK, mark_text
from tests.lakehouse.stream.lakes import training_rows, write_lake

SMALL = {"image_size": 32, "batch_size": 16, "max_steps": 3, "vocab_size": 400}
"""Flags of a training that takes a second."""


def write_released(path: Path) -> Path:
    """Write a lake with 120 rows, 108 of them to train on."""
    rows = training_rows(120)
    lake = write_lake(path, rows.append_column("web_text", rows.column("alt_text"))).path
    (lake / MARK).write_text(mark_text())
    return lake


def flags(**values: object) -> list[str]:
    """Return flags as a shell would give them."""
    return [f"--{name.replace('_', '-')}={value}" for name, value in values.items()]


def facts_of(lake: Path, name: str) -> dict[str, Any]:
    """Return what a finished training tells of itself."""
    facts: dict[str, Any] = json.loads((lake / "_models" / name / "training.json").read_text())
    return facts
