"""What a URI ``hf://`` names: one revision for one content, and one line for what cannot be used."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from benchmarks.llava import write_llava
from lakehouse.errors import BadInput, LakehouseError, MissingPart, UnknownModel
from udfs.models import load

FOREIGN = '{"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config"}}'
"""A model that brings its own code."""
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llava(tmp_path_factory.mktemp("weights") / "llava")


@pytest.fixture
def folder(llava: Path, tmp_path: Path) -> Path:
    return shutil.copytree(llava, tmp_path / "llava")


def test_a_folder_keeps_its_name_wherever_it_lies(llava: Path, folder: Path) -> None:
    here, there = load(f"hf://{llava}"), load(f"hf://{folder}/")
    assert (here.identity, here.revision) == (there.identity, there.revision)
    assert here.identity == "hf://llava?max_new_tokens=256&dtype=auto&images=on&max_pixels=1003520"


def test_a_folder_that_was_trained_on_is_another_revision(llava: Path, folder: Path) -> None:
    write_llava(folder, seed=1)
    assert load(f"hf://{folder}").revision != load(f"hf://{llava}").revision


@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "tokenizer.json", "chat_template.jinja"])
def test_every_file_that_can_change_an_answer_counts(name: str, llava: Path, folder: Path) -> None:
    (folder / name).write_text((folder / name).read_text() + " ")
    assert load(f"hf://{folder}").revision != load(f"hf://{llava}").revision


def test_what_cannot_change_an_answer_does_not_count(llava: Path, folder: Path) -> None:
    (folder / "README.md").write_text("trained on birds")
    os.utime(folder / "config.json", (0, 0))
    assert load(f"hf://{folder}").revision == load(f"hf://{llava}").revision
    settings = "batch_size=2&device=cpu"
    assert load(f"hf://{folder}?{settings}").identity == load(f"hf://{folder}").identity
    assert load(f"hf://{folder}?max_new_tokens=9").identity != load(f"hf://{folder}").identity


def test_a_revision_that_is_asked_for_has_to_be_there(folder: Path) -> None:
    revision = load(f"hf://{folder}").revision
    load(f"hf://{folder}?revision={revision}").check()
    with pytest.raises(BadInput, match=f"is revision {revision}, and 'abc' is asked for"):
        load(f"hf://{folder}?revision=abc").check()


def test_a_model_of_the_hub_is_pinned_to_a_commit() -> None:
    assert load(f"hf://llava-hf/llava-1.5-7b-hf?revision={COMMIT}").revision == COMMIT
    for uri in ("hf://llava-hf/llava-1.5-7b-hf", "hf://llava-hf/llava-1.5-7b-hf?revision=main"):
        with pytest.raises(BadInput, match="for a model on the hub the commit is missing: expected hf://llava-hf/"):
            load(uri).check()


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("hf://", "expected hf://FOLDER or hf://ID.revision=COMMIT"),
        ("hf://m?batchsize=8", r"unknown setting 'batchsize' in 'hf://m\?batchsize=8': did you mean batch_size\?"),
        ("hf://m?zzz=8", "unknown setting 'zzz' in .*: expected one of revision, max_new_tokens, dtype"),
        ("hf://m?dtype=int4", "bad dtype=int4 in .*: expected one of auto, float32, bfloat16, float16"),
        ("hf://m?batch_size=0", "bad batch_size=0 in .*: expected a whole number over 0"),
        ("hf://m?device=tpu", "bad device=tpu in .*: expected one of auto, cpu, cuda"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(uri: str, message: str) -> None:
    with pytest.raises(UnknownModel, match=message):
        load(uri)


def test_a_good_folder_passes(folder: Path) -> None:
    before = load(f"hf://{folder}").revision
    load(f"hf://{folder}").check()
    assert load(f"hf://{folder}").revision == before, "a check writes nothing into the folder"


@pytest.mark.parametrize(
    ("removed", "written", "message"),
    [
        ("*", {}, "no config.json in .*: expected what save_pretrained writes"),
        ("x", {"config.json": "{"}, "cannot read .*config.json'"),
        ("x", {"config.json": "[]"}, "names no model_type"),
        ("x", {"config.json": '{"model_type": "bert"}'}, "is a model of type bert, which is not image-text-to-text"),
        (
            "x",
            {"config.json": '{"model_type": "mine", "auto_map": {"AutoConfig": "a.B"}}'},
            "cannot read the configuration",
        ),
        ("*.safetensors", {"pytorch_model.bin": "x"}, "no safetensors in .*: weights in other formats can run code"),
        ("[tp]*", {}, "cannot read the processor of"),
    ],
)
def test_a_folder_that_is_no_model_is_told_in_one_line(
    removed: str, written: dict[str, str], message: str, folder: Path
) -> None:
    for file in folder.glob(removed):
        file.unlink()
    for name, text in written.items():
        (folder / name).write_text(text)
    with pytest.raises(LakehouseError, match=message) as raised:
        load(f"hf://{folder}").check()
    assert "\n" not in str(raised.value)


def test_a_folder_that_is_not_there_is_told() -> None:
    with pytest.raises(BadInput, match="no folder '/nowhere/llava' on this machine"):
        load("hf:///nowhere/llava").check()


def test_a_missing_package_comes_with_its_extra(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingPart, match="cannot run hf:// models: transformers is not installed: pip install"):
        load(f"hf://{folder}").check()
