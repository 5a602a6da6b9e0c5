"""The comparison of trainings: what it reads is what the release holds out, and earlier trainings stay."""

import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from benchmarks.stream.losses import ARMS, DIFFERENCES, folder_of, own_lake, trained
from benchmarks.stream.outcomes import blind_outcomes, outcomes_of, subject_of
from jobs import train_clip
from jobs.subject import Subject
from lakehouse.cli import parse
from lakehouse.errors import BadInput
from lakehouse.lake_mark import MARK, mark_text
from lakehouse.stream.releases import read_release
from tests.lakehouse.stream.lakes import split_of, training_rows, write_lake
from tests.udfs.clip.tiny import TINY
from udfs.clip.model import save_clip, small_clip
from udfs.clip.presets import scale_of
from udfs.clip.tokenizer import train_tokenizer

ROWS = 60


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = training_rows(ROWS)
    texts = pa.array([f"web {number}" for number in range(ROWS)])
    root = tmp_path_factory.mktemp("lake")
    write_lake(root, rows.append_column("web_text", texts))
    (root / MARK).write_text(mark_text())
    return root


@pytest.fixture(scope="module")
def subject(lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    folder = tmp_path_factory.mktemp("model")
    tokenizer = train_tokenizer([f"long web {number}" for number in range(ROWS)], vocab_size=300, max_tokens=8)
    save_clip(folder, small_clip(tokenizer, replace(TINY, max_tokens=8)), tokenizer)
    return subject_of(str(lake), folder, read_release(str(lake), "demo"))


def test_a_checkpoint_has_an_outcome_for_every_held_out_row(subject: Subject) -> None:
    found = outcomes_of(subject)
    assert {values.shape for values in found.values()} == {(ROWS // 10,)}
    for query in ("web_text", "long_positive"):
        r1, r5, r10 = (found[f"text_to_image_r{k}_by_{query}"] for k in (1, 5, 10))
        assert (r1 <= r5).all()
        assert (r5 <= r10).all()
        assert r10.mean() == 1, "six rows are all among the first ten"
    assert set(found["hard_negative_long"].tolist()) <= {0.0, 1.0}
    assert not found["ties_long"].any()


def test_negatives_that_are_told_by_a_word_are_told_without_a_model(lake: Path) -> None:
    found = blind_outcomes(str(lake), read_release(str(lake), "demo"))
    outcomes, images = found["long"]
    assert outcomes.tolist() == [1.0] * (ROWS // 10), "each negative begins with a word that no positive has"
    assert images == [f"image {number}" for number in range(ROWS) if split_of(number) == "held_out"]


def test_a_lake_of_its_own_keeps_what_was_trained_before(lake: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    first, release = own_lake(lake, own)
    (own / "_models" / "mix-0").mkdir(parents=True)
    shutil.rmtree(own / "gold" / "training")
    assert own_lake(lake, own) == (first, release)
    assert (own / "_models" / "mix-0").is_dir()
    assert (own / "gold" / "training").is_dir()


def test_without_a_demo_the_user_is_told_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="run make demo first"):
        own_lake(tmp_path / "none", tmp_path / "own")
    assert not (tmp_path / "own").exists()


@pytest.mark.parametrize("arm", ARMS)
def test_train_clip_takes_the_flags_of_every_arm(arm: str) -> None:
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in ARMS[arm].flags.items()]
    config = parse(train_clip.Config, ["--lake", "lake", *flags], prog="train_clip")
    scale = scale_of("", hni_weight=config.hni_weight, stc_weight=config.stc_weight)
    assert (scale.hni_weight > 0, scale.stc_weight > 0) == (ARMS[arm].has_hni, ARMS[arm].has_stc)


def test_differences_are_between_arms_there_are() -> None:
    assert {name for pair in DIFFERENCES for name in pair} == set(ARMS)


@pytest.mark.train
@pytest.mark.slow
def test_what_is_trained_is_not_trained_again(lake: Path, tmp_path: Path) -> None:
    own, release = own_lake(lake, tmp_path)
    first = trained(own, release, "mix_hni", 1)
    assert first["settings"]["seed"] == 1
    assert first["realised_mix"].keys() == {"alt_text", "long_positive"}
    weights = (folder_of(own, "mix_hni", 1) / "model.safetensors").stat()
    assert trained(own, release, "mix_hni", 1) == first
    assert (folder_of(own, "mix_hni", 1) / "model.safetensors").stat().st_mtime_ns == weights.st_mtime_ns
