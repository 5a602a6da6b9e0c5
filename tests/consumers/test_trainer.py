"""transformers' Trainer on a stream: the very rows of the stream, alone, together, and after a checkpoint."""

import json
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from lakehouse.stream import CaptionStream
from tests.consumers.running import HERE, run, torchrun
from tests.lakehouse.stream.lakes import Lake
from tests.udfs.clip.tiny import TINY

SCRIPT = HERE / "train_by_trainer.py"
BATCH = 8


def trained(
    python: Path, lake: Lake, out: Path, steps: int, *more: object, processes: int = 1, **environ: str
) -> list[dict[str, Any]]:
    """Return what each process tells of a training of so many steps."""
    before = torchrun(processes) if processes > 1 else []
    done = run(python, *before, SCRIPT, lake.path, out, steps, *more, **environ)
    assert done.returncode == 0, done.stderr
    return [json.loads((out / f"rank-{rank}.json").read_text()) for rank in range(processes)]


@pytest.fixture(scope="module")
def alone(python: Path, lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A training of six steps that nobody disturbed, and its folder."""
    out = tmp_path_factory.mktemp("alone") / "out"
    (told,) = trained(python, lake, out, 6)
    return out, told


def test_the_trainer_gets_the_streams_own_batches(lake: Lake, alone: tuple[Path, dict[str, Any]]) -> None:
    stream = CaptionStream(lake.path, release="demo", batch_size=BATCH, image_size=TINY.image_size)
    rows = alone[1]["rows"]
    assert rows == [batch.sample_id for batch, _ in zip(stream, rows, strict=False)]


def test_a_training_from_a_checkpoint_goes_on_with_the_next_row(
    python: Path, lake: Lake, alone: tuple[Path, dict[str, Any]]
) -> None:
    out, whole = alone
    (resumed,) = trained(python, lake, out, 6, out / "checkpoint-3")
    assert resumed["rows"] == whole["rows"][3:]
    assert resumed["losses"] == pytest.approx(whole["losses"], rel=1e-4)
    assert resumed["read"] == whole["read"] - 3 * BATCH  # what was had is not read again


def test_a_training_of_accumulated_batches_goes_on_in_a_later_epoch(python: Path, lake: Lake, tmp_path: Path) -> None:
    """An epoch is 33 batches, which make 17 updates; the 18th is the first of the second epoch."""
    (whole,) = trained(python, lake, tmp_path / "out", 21, ACCUMULATED="2")
    (resumed,) = trained(python, lake, tmp_path / "out", 21, tmp_path / "out" / "checkpoint-18", ACCUMULATED="2")
    assert whole["batches"] == 33
    assert mean(whole["losses"][-5:]) < mean(whole["losses"][:5]), "the model learns by the loss that it computes"
    assert resumed["rows"] == whole["rows"][33 + 2 :]
    assert resumed["losses"] == pytest.approx(whole["losses"], rel=1e-4)


def test_a_setting_that_was_forgotten_ends_the_training(python: Path, lake: Lake, tmp_path: Path) -> None:
    """By default the first process reads, and hands its rows out to all."""
    done = run(python, *torchrun(2), SCRIPT, lake.path, tmp_path / "out", 2, FORGOTTEN="1")
    assert done.returncode
    assert "expected TrainingArguments(..., **data.arguments)" in done.stderr


def test_two_processes_have_every_row_of_an_epoch_once(python: Path, lake: Lake, tmp_path: Path) -> None:
    steps = 270 // (2 * BATCH)
    first, second = trained(python, lake, tmp_path / "out", steps + 2, processes=2)
    assert first["batches"] == second["batches"] == steps
    given = [row for told in (first, second) for batch in told["rows"][:steps] for row in batch]
    assert len(given) == len(set(given)) == steps * 2 * BATCH
    assert set(given) <= set(lake.train_ids)
    assert first["rows"][steps : steps + 2] != second["rows"][steps : steps + 2]
