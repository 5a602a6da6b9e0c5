"""Gives the tests of consumers their Python, a small lake, and exports of it."""

import sys
from pathlib import Path

import pytest

from lakehouse.export.write import FORMATS
from lakehouse.lake_mark import MARK, mark_text
from tests.consumers.running import consumers, run
from tests.lakehouse.stream.lakes import Lake, training_rows, write_lake

# Run by the consumers' Python: ours cannot import what they import.
collect_ignore = ["open_clip_rows.py", "read_exports.py", "train_by_trainer.py"]


@pytest.fixture(scope="session")
def python() -> Path:
    return consumers()


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Return a lake of 300 rows, 270 of them for training, with a release of it all."""
    made = write_lake(tmp_path_factory.mktemp("lake"), training_rows(300))
    (made.path / MARK).write_text(mark_text())
    return made


@pytest.fixture(scope="session")
def exports(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return an export in every format, three files each."""
    made = {form: tmp_path_factory.mktemp("exports") / form for form in FORMATS}
    for form, out in made.items():
        words = ["--lake", lake.path, "--out", out, "--format", form, "--shard-rows", 100]
        done = run(Path(sys.executable), "-m", "jobs.export_release", *words)
        assert done.returncode == 0, done.stderr
    return made
