"""A captioner's tuning, end to end: each seed is asked about once, and every answer keeps its image."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import functions as F

from benchmarks.llava import write_llava
from jobs.tune_captioner import JOB, Config
from lakehouse.errors import BadInput, LakehouseError
from lakehouse.lake import Lake
from schemas.bronze import PAIRS
from schemas.gold import EVALUATIONS
from schemas.ops import RUNS
from schemas.silver import RESPONSES, SAMPLES
from tests.jobs.intake import add, pairs_of
from tests.jobs.pictures import line_of, picture
from udfs.models import load

PICTURES = 11
COUNT = PICTURES + 1
"""One picture came with two texts."""
SEEDS = 10


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llava(tmp_path_factory.mktemp("student") / "llava", ends=0)


def config(lake: str, llava: Path, out: Path, **changes: Any) -> Config:
    asked = {"teacher": "fake://identity", "student": f"{llava}?device=cpu&dtype=float32"}
    recipe = {"seeds": SEEDS, "held_out": 0.2, "steps": 3, "batch_size": 4, "micro_batch": 2}
    return Config(lake=lake, out=str(out), **{**asked, **recipe, **changes})


@dataclass(frozen=True)
class Story:
    """What a few runs of the job said, one after the other, and what they left."""

    lake: Lake
    folder: Path
    counts: dict[str, dict[str, int]]
    refusals: dict[str, str]


@pytest.fixture(scope="module")
def story(open_at: Callable[[Path], Lake], student: Path, tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("tuning")
    lake = open_at(folder / "lake")
    _fill(lake)
    model = config(lake.root, student, folder / "model")
    refusals = {
        "too few samples": _refusal(lake, replace(model, batch_size=64)),
        "too few answers": _refusal(lake, replace(model, teacher="fake://broken")),
    }
    counts = {"planned": _run(lake, replace(model, dry_run=True))}
    chats = replace(model, export_only=True, student="", out=str(folder / "chats"))
    counts["exported"] = _run(lake, chats)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("udfs.hf.tuning.tune.tune", _die)
        with pytest.raises(KeyboardInterrupt):
            _run(lake, model)
    assert not (folder / "model").exists()
    counts |= {"tuned": _run(lake, model), "again": _run(lake, model), "chats again": _run(lake, chats)}
    return Story(lake, folder, counts, refusals)


def _fill(lake: Lake) -> None:
    pictures = {f"{number}": (picture(number), line_of(number)["title"]) for number in range(PICTURES)}
    pairs = pairs_of({**pictures, "again": (picture(0), "The same picture with other words")})
    add(lake, PAIRS, pairs)
    nothing = pa.array([[] for _ in range(COUNT)], pa.list_(pa.string()))
    kept = pairs.select(["sample_id", "image_id", "image", "alt_text", "width", "height"])
    add(lake, SAMPLES, kept.append_column("web_tags", nothing).append_column("colours", nothing))


def _run(lake: Lake, config: Config) -> dict[str, int]:
    return dict(JOB.run(lake, config))


def _refusal(lake: Lake, config: Config) -> str:
    with pytest.raises(BadInput) as raised:
        _run(lake, config)
    return str(raised.value)


def _die(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.spark
@pytest.mark.slow
def test_each_run_says_what_it_did(story: Story) -> None:
    plan = {"samples": SEEDS, "answered_already": 0, "missed_before": 0, "requests_to_send": SEEDS}
    exported = story.counts["exported"]
    assert story.counts["planned"] == plan
    assert (exported["accepted"], exported["rejected"], exported["train"] + exported["held_out"]) == (SEEDS, 0, SEEDS)
    assert exported["held_out"] >= 2
    assert story.counts["tuned"] == {"steps": 3, "learnt_seeds": exported["train"], "left_out": 0}
    assert (story.counts["again"], story.counts["chats again"]) == ({}, {})


@pytest.mark.spark
@pytest.mark.slow
def test_no_seed_is_asked_about_twice(story: Story) -> None:
    answers = story.lake.read(RESPONSES).where("model = 'fake://identity'")
    assert answers.count() == answers.select("sample_id").distinct().count() == SEEDS


@pytest.mark.spark
@pytest.mark.slow
def test_too_few_seeds_are_said_before_any_is_asked_about(story: Story) -> None:
    message = f"{SEEDS} samples by --seeds: expected 65 or more, which --batch-size 64 takes"
    assert story.refusals["too few samples"] == message
    assert story.refusals["too few answers"].startswith(f"0 of {SEEDS} answers of the teacher can be used ({SEEDS} ")
    runs = story.lake.read(RUNS).orderBy("started_at").select("status", "counts").collect()
    assert [row.status for row in runs][:1] == ["failed"]


@pytest.mark.spark
@pytest.mark.slow
def test_every_answer_keeps_its_image(story: Story) -> None:
    chats = _chats(story.folder / "chats")
    assert sorted(_chats(story.folder / "model" / "seeds")) == sorted(chats)
    answers = story.lake.read(RESPONSES).where("model = 'fake://identity'").collect()
    keys = {row.sample_id: row.request_key for row in answers}
    for _, sample_id, request_key, image, answer in chats:
        digest = hashlib.sha256((story.folder / "chats" / image).read_bytes()).hexdigest()
        assert json.loads(answer)["long_positive"] == digest
        assert image == f"images/{digest}.png"
        assert keys[sample_id] == request_key


@pytest.mark.spark
@pytest.mark.slow
def test_no_image_is_both_learnt_and_held_out(story: Story) -> None:
    chats = _chats(story.folder / "chats")
    learnt, held_out = ({chat[3] for chat in chats if chat[0] == name} for name in ("train", "held_out"))
    assert learnt
    assert held_out
    assert not learnt & held_out


def _chats(folder: Path) -> list[tuple[str, str, str, str, str]]:
    """Return file, sample_id, request_key, image and answer of every line."""
    found = []
    for name in ("train", "held_out"):
        for line in (folder / f"{name}.jsonl").read_text().splitlines():
            fields = json.loads(line)
            asked, said = (turn["content"] for turn in fields["messages"])
            (image,) = [part["image"] for part in asked if part["type"] == "image"]
            found.append((name, fields["sample_id"], fields["request_key"], image, said[0]["text"]))
    return found


@pytest.mark.spark
@pytest.mark.slow
def test_the_metrics_are_written_once(story: Story) -> None:
    rows = {row.metric: row for row in story.lake.read(EVALUATIONS).collect()}
    losses = {"tuning_loss_first", "tuning_loss_last", "tuning_held_out_loss_before", "tuning_held_out_loss_after"}
    assert set(rows) == losses | {"tuning_seeds", "tuning_accepted_share"}
    assert story.lake.read(EVALUATIONS).count() == len(rows)
    assert (rows["tuning_seeds"].value, rows["tuning_accepted_share"].value) == (SEEDS, 1.0)
    assert rows["tuning_loss_first"].checkpoint == _facts(story)["weights_sha256"]
    assert story.lake.read(RUNS).where(F.col("status") == "succeeded").count() == 2


@pytest.mark.spark
@pytest.mark.slow
def test_the_folder_says_what_it_was_made_by(story: Story) -> None:
    facts, teacher = _facts(story), load("fake://identity")
    assert facts["settings"]["teacher_model"] == teacher.identity
    assert facts["settings"]["teacher_revision"] == teacher.revision
    assert {len(facts["settings"][name]) for name in ("teacher_prompt_hash", "prompt_hash")} == {64}
    assert facts["seeds_digest"] == hashlib.sha256((story.folder / "model/seeds/train.jsonl").read_bytes()).hexdigest()
    load(f"hf://{story.folder / 'model'}").check()


def _facts(story: Story) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((story.folder / "model" / "tuning.json").read_text())
    return facts


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"student": ""}, "no --student to tune: name one, or have only the chats written by --export-only"),
        ({"student": "/no/such/model"}, "no folder '/no/such/model' on this machine"),
        ({"student": "llava/llava"}, "for a model on the hub the commit is missing"),
        ({"teacher": "opnai://x"}, "unknown model 'opnai://x': expected one"),
        ({"teacher_prompt": "poem"}, "no prompt 'poem': expected one of hqclip_"),
        ({"prompt": "poem"}, "no prompt 'poem': expected one of hqclip_"),
        ({"teacher": "openai://gpt-9", "budget_usd": 1.0}, "no price is known for"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(
    changes: dict[str, Any], message: str, student: Path, tmp_path: Path
) -> None:
    with pytest.raises(LakehouseError, match=message) as raised:
        JOB.check(config("", student, tmp_path / "out", **changes))
    assert "\n" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out", "out.part"])
def test_a_folder_of_something_else_is_left_alone(name: str, student: Path, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "letter.txt").write_text("mine")
    with pytest.raises(BadInput, match=rf"'{tmp_path}/{name}' is there already, made by something else: name another"):
        JOB.check(config("", student, tmp_path / "out"))
    assert (tmp_path / name / "letter.txt").read_text() == "mine"
