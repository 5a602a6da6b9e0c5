"""What a training tells at its end is of all its processes, in all their lives."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from jobs import train_clip
from lakehouse.stream.releases import read_release
from tests.jobs.training_lake import SMALL, write_released
from tests.lakehouse.stream.lakes import flip_a_byte
from tests.together import run_together
from udfs.clip.checkpoint import FILE
from udfs.clip.run import train_release

pytestmark = [pytest.mark.train, pytest.mark.slow]

EPOCHS = {"max_steps": 0, "epochs": 1, "checkpoint_minutes": 1e-9}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake in which some images cannot be read."""
    lake = write_released(tmp_path_factory.mktemp("damaged") / "lake")
    flip_a_byte(lake / "gold" / "training" / "part 1.parquet", row_group=0, column="image")
    return lake


def trained(lake: Path, folder: Path) -> dict[str, Any]:
    """Train, or go on; the checkpoint of the last step stays."""
    config = train_clip.Config(str(lake), **{**SMALL, **EPOCHS})  # type: ignore[arg-type]
    release = read_release(str(lake), "demo")
    facts = train_release(str(lake), release, folder, train_clip.plan_of(config, release))
    return {name: facts[name] for name in ("steps", "samples", "losses", "realised_mix", "skipped", "repeated")}


def test_counts_are_those_of_all_processes_in_all_lives(lake: Path, tmp_path: Path) -> None:
    first, second = run_together(partial(trained, lake, tmp_path / "model"), 2, tmp_path / "told")
    assert first == second
    assert first["skipped"] == first["repeated"] > 0
    assert sum(first["realised_mix"].values()) == pytest.approx(1, abs=1e-3)
    # One process can go on where two have stopped. Nothing is left to do: all that is told was in the checkpoint.
    assert (tmp_path / "model" / FILE).exists()
    assert trained(lake, tmp_path / "model") == first
