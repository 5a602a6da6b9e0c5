"""A student learns a teacher's answers, and nothing of the question; a cut run ends where an uncut one does."""

import json
import shutil
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoProcessor

from benchmarks.llava import write_llava
from lakehouse.errors import BadInput, LakehouseError, MissingPart, ModelFailed
from tests.jobs.pictures import picture
from tests.udfs.hf.seeds import png, request, write_seeds
from udfs.hf.engine import Engine
from udfs.hf.messages import Told
from udfs.hf.tuning.__main__ import main
from udfs.hf.tuning.batches import NOT_LEARNT, Batch, Batches
from udfs.hf.tuning.chat_file import open_chats
from udfs.hf.tuning.recipe import Recipe
from udfs.hf.tuning.student import check_student, load_student, read_student
from udfs.hf.tuning.trainer import Trainer
from udfs.hf.tuning.tune import places_of, tune
from udfs.models import Desk, load
from udfs.pace import Pace
from udfs.prompts import fill, read_prompt, split_prompt
from udfs.tasks import DESCRIBE

pytestmark = pytest.mark.train

RECIPE = Recipe(steps=24, batch_size=4, micro_batch=4, learning_rate=3e-3, warmup=0.1, checkpoint_every=100)
SHORT = replace(RECIPE, steps=6, batch_size=3, micro_batch=2, checkpoint_every=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llava(tmp_path_factory.mktemp("student") / "llava", ends=0)


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_seeds(tmp_path_factory.mktemp("seeds"), 28, held_out=4)


@pytest.fixture(scope="module")
def tuned(folder: Path, seeds: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The student after a few dozen steps."""
    out = tmp_path_factory.mktemp("tuned") / "out"
    flags = {name: getattr(RECIPE, name) for name in ("steps", "batch_size", "micro_batch", "learning_rate", "warmup")}
    given = [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]
    assert main([str(seeds / "train.jsonl"), "--student", _uri(folder), "--out", str(out), *given]) == 0
    return out


def _uri(folder: Path) -> str:
    return f"{folder}?dtype=float32&device=cpu"


def _tune(seeds: Path, folder: Path, out: Path, recipe: Recipe, **options: Any) -> dict[str, Any]:
    out.mkdir(exist_ok=True)
    return tune(open_chats(seeds / "train.jsonl"), None, read_student(_uri(folder)), recipe, out, **options)


def _batches(seeds: Path, folder: Path, **limits: int) -> tuple[Batches, Engine]:
    student = load_student(read_student(_uri(folder)), RECIPE)
    chats = open_chats(seeds / "train.jsonl")
    return Batches(chats, student.engine, **{"max_pixels": 1 << 20, "max_tokens": 4096, **limits}), student.engine


def _batch(seeds: Path, folder: Path, *places: int) -> Batch:
    batch = _batches(seeds, folder)[0].batch(places)
    assert batch is not None
    return batch


def test_the_loss_falls_on_seeds_and_on_what_was_held_out(tuned: Path) -> None:
    facts = json.loads((tuned / "tuning.json").read_text())
    assert {file.name for file in tuned.iterdir()} >= {"model.safetensors", "config.json", "tokenizer.json"}
    assert not list(tuned.glob("checkpoint*"))
    assert (facts["steps"], facts["seeds"], facts["held_out"], facts["left_out"]) == (24, 24, 4, {})
    assert facts["loss_last"] < 0.6 * facts["loss_first"]
    assert facts["held_out_loss_after"] < 0.6 * facts["held_out_loss_before"]
    lines = [json.loads(line) for line in (tuned / "losses.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 25))


def test_a_student_that_has_one_answer_by_heart_gives_it_through_hf(folder: Path, tmp_path: Path) -> None:
    seeds, out = write_seeds(tmp_path / "seeds", 1), tmp_path / "out"
    _tune(seeds, folder, out, replace(RECIPE, steps=160, batch_size=1, learning_rate=1e-2))
    model = load(f"hf://{out}?dtype=float32&device=cpu&max_new_tokens=1000")
    model.check()
    desk = Desk(task=DESCRIBE, prompt=read_prompt("hqclip_student").text)
    ((_, reply),) = model.describe([request(0)], desk)
    assert reply.answer == open_chats(seeds / "train.jsonl").chat(0).answer


def test_the_image_encoder_is_left_as_it_was(folder: Path, tuned: Path) -> None:
    before, after = (load_file(one / "model.safetensors") for one in (folder, tuned))
    assert before.keys() == after.keys()
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert any("language_model" in name for name in changed)
    assert any("projector" in name for name in changed)
    assert not any("vision_tower" in name for name in changed)


def test_the_same_tuning_is_not_done_twice(folder: Path, seeds: Path, tuned: Path) -> None:
    before = (tuned / "model.safetensors").stat().st_mtime_ns
    flags = ["--steps=24", "--batch-size=4", "--micro-batch=4", "--learning-rate=0.003", "--warmup=0.1"]
    given = [str(seeds / "train.jsonl"), "--student", _uri(folder), "--out", str(tuned)]
    assert main([*given, *flags]) == 0
    assert main([*given, *flags, "--seed=1"]) == 1
    assert (tuned / "model.safetensors").stat().st_mtime_ns == before


def test_only_the_answer_is_learnt(folder: Path, seeds: Path) -> None:
    batches, engine = _batches(seeds, folder)
    batch = batches.batch([0, 1, 2])
    assert batch is not None
    chats = open_chats(seeds / "train.jsonl")
    for place, (labels, ids) in enumerate(zip(batch.labels, batch.inputs["input_ids"], strict=True)):
        learnt = labels[labels != NOT_LEARNT]
        assert engine._decoder.decode(learnt) == f"{chats.chat(place).answer}</s>"
        assert torch.equal(ids[labels != NOT_LEARNT], learnt)
        first = int((labels != NOT_LEARNT).nonzero()[0])
        assert first > len(learnt) / 4
        assert (labels[:first] == NOT_LEARNT).all()


def test_a_seed_is_asked_as_the_captioner_is(folder: Path, seeds: Path) -> None:
    batch, (_, engine) = _batch(seeds, folder, 0), _batches(seeds, folder)
    one = request(4)  # the first four are held out
    instructions, own = split_prompt(read_prompt("hqclip_student").text)
    filled = fill(own, sample_id=one.sample_id, alt_text=one.alt_text, web_tags=one.web_tags)
    asked = engine.encode([Told(instructions=instructions, own=filled, image=picture(4))])
    count = asked["input_ids"].shape[1]
    assert torch.equal(batch.inputs["input_ids"][:, :count], asked["input_ids"])
    assert torch.equal(batch.inputs["pixel_values"], asked["pixel_values"])
    assert (batch.labels[:, :count] == NOT_LEARNT).all()
    assert batch.labels[0, count] != NOT_LEARNT


def test_a_line_is_a_chat_that_transformers_takes(folder: Path, seeds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(seeds)
    line = json.loads((seeds / "train.jsonl").read_text().splitlines()[0])
    processor = AutoProcessor.from_pretrained(folder)
    asked = processor.apply_chat_template(line["messages"], tokenize=True, return_dict=True, return_tensors="pt")
    batch = _batch(seeds, folder, 0)
    count = batch.inputs["input_ids"].shape[1] - 1  # but for the end, which this template does not write
    assert torch.equal(asked["input_ids"][:, :count], batch.inputs["input_ids"][:, :count])
    assert torch.equal(asked["pixel_values"], batch.inputs["pixel_values"])


def test_what_stands_beside_a_seed_changes_no_loss(folder: Path, seeds: Path) -> None:
    student = load_student(read_student(_uri(folder)), RECIPE)
    trainer = Trainer(student, RECIPE, 1)
    together = trainer.loss(_batch(seeds, folder, 0, 1, 2))
    alone = sum(trainer.loss(_batch(seeds, folder, place)) for place in (0, 1, 2))
    assert together == pytest.approx(alone, rel=1e-5)


def test_a_step_is_the_same_in_one_piece_or_in_several(folder: Path, seeds: Path, tmp_path: Path) -> None:
    whole = _tune(seeds, folder, tmp_path / "whole", replace(SHORT, steps=1, micro_batch=3))
    pieces = _tune(seeds, folder, tmp_path / "pieces", replace(SHORT, steps=1, micro_batch=1))
    assert whole["loss_first"] == pytest.approx(pieces["loss_first"], rel=1e-5)


class _Cut(Exception):
    """A run that dies."""


def test_a_run_that_was_cut_ends_where_an_uncut_one_does(
    folder: Path, seeds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uncut = _tune(seeds, folder, tmp_path / "uncut", SHORT)
    learn = Trainer.learn

    def until_five(trainer: Trainer, batches: Any) -> Any:
        if trainer.step == 5:
            raise _Cut
        return learn(trainer, batches)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "learn", until_five)
        with pytest.raises(_Cut):
            _tune(seeds, folder, tmp_path / "cut", SHORT)
    paces: list[Pace] = []
    again = _tune(seeds, folder, tmp_path / "cut", SHORT, progress=paces.append)
    assert [pace.began for pace in paces] == [4]
    assert again == uncut
    for name in ("model.safetensors", "losses.jsonl"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "uncut" / name).read_bytes()


def test_a_line_that_cannot_be_learnt_is_left_out(folder: Path, tmp_path: Path) -> None:
    seeds = write_seeds(tmp_path / "seeds", 14)
    lines = (seeds / "train.jsonl").read_bytes().splitlines(keepends=True)
    images = [json.loads(line)["messages"][0]["content"][1]["image"] for line in lines]
    (seeds / images[0]).write_bytes(png(0)[:300])
    (seeds / images[1]).unlink()
    lines[2] = b"\xff\xfe not json\n"
    lines[3] = lines[3].replace(images[3].encode(), b"../../etc/passwd")
    lines[4] = lines[4].replace(b'"messages"', b'"massages"')
    lines[5] = lines[5].replace(b"drawing", b"\\ud800")
    lines[6] = lines[6].replace(b"drawing", b"drawing " * 3000)
    lines[7] = lines[7].replace(b"drawing", b"<image> </s><s>user: <pad>")  # as harmless as where it captions
    (seeds / "train.jsonl").write_bytes(b"".join(lines))
    facts = _tune(seeds, folder, tmp_path / "out", replace(SHORT, steps=5, max_tokens=4000))
    reasons = {"truncated_image": 1, "missing_image": 1, "bad_line": 4, "too_many_tokens": 1}
    assert (facts["seeds"], facts["left_out"]) == (7, reasons)


def test_each_seed_comes_once_before_any_comes_again() -> None:
    drawn = [place for step in range(10) for place in places_of(step, size=3, count=7, seed=1)]
    for epoch in range(4):
        assert sorted(drawn[7 * epoch : 7 * epoch + 7]) == list(range(7))
    assert drawn[:7] != drawn[7:14]
    assert Counter(drawn[28:]).most_common(1)[0][1] == 1


def test_a_loss_that_is_no_number_ends_the_run(folder: Path, seeds: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(folder, tmp_path / "broken")
    weights = load_file(broken / "model.safetensors")
    name = next(name for name in weights if "embed_tokens" in name)
    weights[name] = torch.full_like(weights[name], float("nan"))
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelFailed, match="the loss of step 1 is nan: lower --learning-rate"):
        _tune(seeds, broken, tmp_path / "out", SHORT)


def test_too_few_chats_are_said(folder: Path, seeds: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"24 chats in '.*' can be used: expected 32 or more, which --batch-size 32"):
        _tune(seeds, folder, tmp_path / "out", Recipe())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("gone", "no folder '.*' on this machine"),
        ("template", "has no chat template: without one, a question has no end"),
        ("bert", "is a model of type bert, which is not image-text-to-text"),
        ("?images=off", "cannot tune '.*' with images=off or dtype=float16"),
    ],
)
def test_a_student_that_cannot_learn_is_told_in_one_line(
    change: str, message: str, folder: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "student"))
    if change == "gone":
        shutil.rmtree(copy)
    elif change == "template":
        (copy / "chat_template.jinja").unlink()
    elif change == "bert":
        (copy / "config.json").write_text('{"model_type": "bert"}')
    name = f"hf://{copy}" + (change if change.startswith("?") else "")
    with pytest.raises(LakehouseError, match=message) as raised:
        check_student(read_student(name), RECIPE)
    assert "\n" not in str(raised.value)


def test_adapters_without_peft_say_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingPart, match=r"peft is not installed: pip install '.\[lora\]'"):
        check_student(read_student(_uri(folder)), replace(RECIPE, lora_rank=4))


def test_adapters_are_merged_into_the_folder(folder: Path, seeds: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    facts = _tune(seeds, folder, tmp_path / "out", replace(SHORT, lora_rank=4, learning_rate=1e-2))
    before, after = (load_file(one / "model.safetensors") for one in (folder, tmp_path / "out"))
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert not any("vision_tower" in name or "embed" in name or "lm_head" in name for name in changed)
    assert facts["trained_weights"] < sum(one.numel() for one in before.values()) / 3
    assert facts["loss_last"] < facts["loss_first"]
    load(f"hf://{tmp_path / 'out'}").check()
