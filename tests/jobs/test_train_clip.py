"""A release trains a model without a JVM, once, and the model is measured on what it never saw."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobs import evaluate_clip, train_clip
from lakehouse.errors import BadInput, StreamError
from lakehouse.small_rows import read_rows
from schemas.gold import EVALUATIONS, RELEASES, TRAINING
from schemas.ops import RUNS
from tests.world import World

pytestmark = [pytest.mark.spark, pytest.mark.train, pytest.mark.slow]


def config(world: World, **changes: object) -> train_clip.Config:
    wanted = {"name": "test", "image_size": 32, "batch_size": 16, "max_steps": 6, "vocab_size": 400} | changes
    return train_clip.Config(world.lake.root, **wanted)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def trained(world: World) -> Path:
    train_clip.JOB.run(config(world))
    evaluate_clip.JOB.run(evaluate_clip.Config(world.lake.root, name="test", max_pairs=20, examples=3))
    return Path(world.lake.root) / "_models" / "test"


def test_the_checkpoint_is_a_clip_of_transformers(trained: Path) -> None:
    from transformers import CLIPModel, CLIPProcessor

    model = CLIPModel.from_pretrained(trained, local_files_only=True)
    processor = CLIPProcessor.from_pretrained(trained, local_files_only=True)
    assert model.config.vision_config.image_size == 32
    assert processor(text=["a kite"], return_tensors="pt")["input_ids"].shape[0] == 1


def test_the_run_says_what_it_did(trained: Path) -> None:
    facts = json.loads((trained / "training.json").read_text())
    assert (facts["steps"], facts["samples"]) == (6, 96)
    assert set(facts["realised_mix"]) <= {"web_text", "long_positive", "alt_text"}
    assert list((trained / "tensorboard").glob("events.*"))


def test_the_same_training_is_not_done_twice(world: World, trained: Path) -> None:
    before = (trained / "model.safetensors").stat().st_mtime_ns
    assert train_clip.JOB.run(config(world)) == {}
    assert (trained / "model.safetensors").stat().st_mtime_ns == before
    assert evaluate_clip.JOB.run(evaluate_clip.Config(world.lake.root, name="test", max_pairs=20, examples=3)) == {}


def test_recall_is_measured_both_ways_on_held_out_pairs(world: World, trained: Path) -> None:
    rows = [row for row in read_rows(world.lake.root, EVALUATIONS) if row["name"] == "test"]
    assert {row["metric"] for row in rows} == {
        f"{way}_r{k}" for way in ("text_to_image", "image_to_text") for k in (1, 5, 10)
    }
    assert all(0 <= row["value"] <= 1 and row["n"] == 20 for row in rows)


def test_searched_images_were_never_trained_on(world: World, trained: Path) -> None:
    split = {row.sample_id: row.split for row in world.lake.read(TRAINING).select("sample_id", "split").collect()}
    found = json.loads((trained / "retrieval.json").read_text())["examples"]
    assert len(found) == 3
    assert {split[name] for example in found for name in example["found"]} == {"held_out"}


def test_training_needs_no_java(world: World, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "jobs.train_clip", "--lake", world.lake.root, "--name", "bare", "--max-steps", "1"]
    command += ["--image-size", "32", "--batch-size", "16", "--vocab-size", "400"]
    environment = {**os.environ, "JAVA_HOME": str(tmp_path), "PATH": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout) == (0, "train_clip: 1 steps, 16 samples\n"), done.stderr
    assert any(row["job"] == "train_clip" for row in read_rows(world.lake.root, RUNS))


def test_an_unknown_release_names_those_there_are(world: World) -> None:
    (known,) = (row["release"] for row in read_rows(world.lake.root, RELEASES))
    with pytest.raises(StreamError, match=known):
        train_clip.JOB.run(config(world, release="nothing"))


def test_an_unknown_text_column_names_those_there_are(world: World) -> None:
    with pytest.raises(StreamError, match="long_positive"):
        train_clip.JOB.run(config(world, mix="longpositive=1"))


def test_an_evaluation_without_a_training_says_what_to_run(world: World) -> None:
    with pytest.raises(BadInput, match="run train_clip first"):
        evaluate_clip.JOB.run(evaluate_clip.Config(world.lake.root, name="never"))
