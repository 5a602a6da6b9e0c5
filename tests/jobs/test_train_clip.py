"""A release trains a model without a JVM, once, and the model is measured on what it never saw."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from jobs import evaluate_clip, train_clip
from lakehouse.errors import BadInput, StreamError
from lakehouse.small_rows import read_rows
from lakehouse.stream import Mix
from schemas.gold import EVALUATIONS, RELEASES, TRAINING
from schemas.ops import RUNS
from tests.lakehouse.stream.lakes import flip_a_byte
from tests.world import World

pytestmark = [pytest.mark.spark, pytest.mark.train, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
SETTINGS = {"name": "test", "image_size": 32, "batch_size": 16, "max_steps": 6, "vocab_size": 400}


def config(root: Path, **changes: object) -> train_clip.Config:
    return train_clip.Config(str(root), **SETTINGS | changes)  # type: ignore[arg-type]


def evaluation(root: Path) -> evaluate_clip.Config:
    return evaluate_clip.Config(str(root), name="test", max_pairs=20, examples=3)


@pytest.fixture(scope="module")
def root(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the lake: what is trained here is no part of the one that others look at."""
    return Path(shutil.copytree(world.lake.root, tmp_path_factory.mktemp("trained") / "lake"))


@pytest.fixture(scope="module")
def command(root: Path, tmp_path_factory: pytest.TempPathFactory) -> "subprocess.CompletedProcess[str]":
    """The training, as a command on a machine where there is no Java to be found."""
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in SETTINGS.items()]
    nothing = str(tmp_path_factory.mktemp("no java"))
    return subprocess.run(
        [sys.executable, "-m", "jobs.train_clip", "--lake", str(root), *flags],
        cwd=ROOT,
        env={**os.environ, "JAVA_HOME": nothing, "PATH": nothing},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def trained(root: Path, command: "subprocess.CompletedProcess[str]") -> Path:
    assert command.returncode == 0, command.stderr
    evaluate_clip.JOB.run(evaluation(root))
    return root / "_models" / "test"


def test_training_needs_no_java(root: Path, command: "subprocess.CompletedProcess[str]") -> None:
    assert (command.returncode, command.stdout) == (0, "train_clip: 6 steps, 96 samples\n"), command.stderr
    assert any(row["job"] == "train_clip" for row in read_rows(str(root), RUNS))


def test_the_checkpoint_is_a_clip_of_transformers(trained: Path) -> None:
    from transformers import CLIPModel, CLIPProcessor

    model = CLIPModel.from_pretrained(trained, local_files_only=True)
    processor = CLIPProcessor.from_pretrained(trained, local_files_only=True)
    assert model.config.vision_config.image_size == 32
    assert processor(text=["a kite"], return_tensors="pt")["input_ids"].shape[0] == 1


def test_the_run_says_what_it_did(root: Path, trained: Path) -> None:
    facts = json.loads((trained / "training.json").read_text())
    assert (facts["steps"], facts["samples"], facts["skipped"], facts["texts_unread"]) == (6, 96, 0, 0)
    (release,) = read_rows(str(root), RELEASES)
    assert set(facts["realised_mix"]) == set(Mix.parse(release["mix"]))
    assert list((trained / "tensorboard").glob("events.*"))


def test_the_same_training_is_not_done_twice(root: Path, trained: Path) -> None:
    before = (trained / "model.safetensors").stat().st_mtime_ns
    assert train_clip.JOB.run(config(root)) == {}
    assert (trained / "model.safetensors").stat().st_mtime_ns == before
    assert evaluate_clip.JOB.run(evaluation(root)) == {}


def test_processes_that_torchrun_starts_train_one_model_together(root: Path, trained: Path) -> None:
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in {**SETTINGS, "name": "together"}.items()]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    done = subprocess.run(
        [*torchrun, "-m", "jobs.train_clip", "--lake", str(root), *flags],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stdout.count("train_clip: ")) == (0, 1), done.stderr
    alone, together = (facts_of(root, name) for name in ("test", "together"))
    assert together["losses"] == pytest.approx(alone["losses"], rel=1e-3)
    same = ("steps", "samples", "realised_mix", "skipped", "repeated")
    assert [together[name] for name in same] == [alone[name] for name in same]


def facts_of(root: Path, name: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((root / "_models" / name / "training.json").read_text())
    return facts


def test_recall_is_measured_both_ways_on_held_out_pairs(root: Path, trained: Path) -> None:
    rows = [row for row in read_rows(str(root), EVALUATIONS) if row["name"] == "test"]
    assert {row["metric"] for row in rows} == {
        f"{way}_r{k}" for way in ("text_to_image", "image_to_text") for k in (1, 5, 10)
    }
    assert all(0 <= row["value"] <= 1 and row["n"] == 20 for row in rows)


def test_searched_images_were_never_trained_on(world: World, trained: Path) -> None:
    split = {row.sample_id: row.split for row in world.lake.read(TRAINING).select("sample_id", "split").collect()}
    found = json.loads((trained / "retrieval.json").read_text())["examples"]
    assert len(found) == 3
    assert {split[name] for example in found for name in example["found"]} == {"held_out"}
    trained_on = json.loads((trained / "training.json").read_text())["rows"]
    assert trained_on == list(split.values()).count("train")


def test_a_training_that_breaks_off_leaves_the_finished_one(root: Path, trained: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(root, tmp_path / "lake"))
    for file in (broken / "gold" / "training").glob("*.parquet"):
        for row_group in range(pq.read_metadata(file).num_row_groups):
            flip_a_byte(file, row_group=row_group, column="image")
    with pytest.raises(StreamError, match="the stream gave no batch"):
        train_clip.JOB.run(config(broken, max_steps=7))
    for name in ("model.safetensors", "training.json", "retrieval.json"):
        assert (broken / "_models" / "test" / name).read_bytes() == (trained / name).read_bytes()


def test_a_batch_that_the_release_cannot_fill_is_said(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = next(row["train_rows"] for row in read_rows(str(root), RELEASES))
    train_clip.JOB.run(config(root, out=str(tmp_path / "out"), batch_size=100_000, max_steps=1))
    assert f"note: batches of {rows:,} rows, as the release has no more" in capsys.readouterr().err


def test_somebodys_files_are_not_written_over(root: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BadInput, match=r"holds 'config.json' and no training: name an empty folder with --out"):
        train_clip.JOB.run(config(root, out=str(tmp_path)))


@pytest.mark.parametrize("change", [{"batch_size": 0}, {"epochs": 0}, {"max_steps": -1}, {"learning_rate": 0.0}])
def test_a_training_of_nothing_is_refused(root: Path, change: dict[str, float]) -> None:
    with pytest.raises(BadInput, match=f"bad --{next(iter(change)).replace('_', '-')} "):
        train_clip.JOB.run(config(root, **change))
