"""The models that train_clip trains, and tunes, as a command without a JVM."""

import json
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]
from transformers import SiglipModel

from jobs import train_clip
from lakehouse.errors import BadInput
from lakehouse.stream.releases import read_release
from tests.jobs.training_lake import SMALL, facts_of, flags, write_released
from tests.system.said import call, python
from udfs.clip.model import load_clip

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake that a SigLIP was trained on, with the averaged weights kept."""
    lake = write_released(tmp_path_factory.mktemp("trained") / "lake")
    said = call(
        train_clip.JOB.main, *flags(lake=lake, name="siglip", model="small-SigLIP", ema=0.9, **SMALL), "--neg-columns"
    )
    assert (said.code, said.out) == (0, "train_clip: 3 steps, 48 samples\n"), said.err
    return lake


def figures(lake: Path, name: str) -> dict[str, list[float]]:
    log = EventAccumulator(str(lake / "_models" / name / "tensorboard")).Reload()
    return {tag: [event.value for event in log.Scalars(tag)] for tag in log.Tags()["scalars"]}


def test_the_command_starts_without_spark_or_torch() -> None:
    code = "import sys, jobs.train_clip; print({'pyspark', 'torch', 'transformers'} & set(sys.modules))"
    assert python("-c", code).out == "set()\n"


def test_a_siglip_from_scratch_is_one_of_transformers(lake: Path) -> None:
    model = SiglipModel.from_pretrained(lake / "_models" / "siglip", local_files_only=True)
    assert model.config.vision_config.image_size == 32
    assert load_clip(lake / "_models" / "siglip")[0].family.is_sigmoid


def test_a_training_tells_which_weights_it_left(lake: Path) -> None:
    facts = facts_of(lake, "siglip")
    assert facts["weights"] == "moving average, decay 0.9"
    told = {name: facts["settings"][name] for name in ("ema", "neg_columns", "model", "batch_size", "beta2")}
    assert told == {"ema": 0.9, "neg_columns": True, "model": "small-SigLIP", "batch_size": 16, "beta2": 0.98}


def test_what_the_stream_has_counted_is_logged_at_every_step(lake: Path) -> None:
    told = figures(lake, "siglip")
    assert told["stream/rows"] == [16, 32, 48]
    assert told["stream/repeated"] == [0, 0, 0]
    shares = [told[f"stream/realised_mix/{name}"][-1] for name in ("alt_text", "long_positive")]
    assert sum(shares) == pytest.approx(1)
    assert len(told["train/sigmoid"]) == 3
    assert told["train/logit_bias"][0] == pytest.approx(-10, abs=0.1)


def test_a_trained_model_is_tuned_under_another_name(lake: Path) -> None:
    own = {
        **SMALL,
        "image_size": None,
        "vocab_size": None,
        "lake": str(lake),
        "model": str(lake / "_models" / "siglip"),
    }
    tune = train_clip.Config(**own, name="tuned", learning_rate=1e-6, warmup_steps=1, gradient_checkpointing=True)  # type: ignore[arg-type]
    assert train_clip.JOB.run(tune) == {"steps": 3, "samples": 48}
    before, after = (load_clip(lake / "_models" / name) for name in ("siglip", "tuned"))
    assert before[1].get_vocab() == after[1].get_vocab()
    scales = [model.logit_scale.item() for model, _ in (before, after)]
    assert scales[0] == pytest.approx(scales[1], rel=1e-4)
    assert scales[0] != scales[1]
    assert facts_of(lake, "tuned")["settings"]["model"] == "siglip"
    assert train_clip.JOB.run(tune) == {}
    with pytest.raises(BadInput, match="is the folder of --model too: name another"):
        train_clip.JOB.run(train_clip.Config(**own, name="siglip"))  # type: ignore[arg-type]


def test_a_training_from_before_a_flag_existed_counts_as_made_with_its_default(lake: Path) -> None:
    config = train_clip.Config(str(lake), **SMALL)  # type: ignore[arg-type]
    release = read_release(str(lake), "demo")
    settings = dict(train_clip.plan_of(config, release).settings)
    folder = lake / "_models" / "clip"
    folder.mkdir(parents=True)
    old = {name: value for name, value in settings.items() if name not in ("ema", "preset", "model", "beta2", "spark")}
    (folder / "training.json").write_text(json.dumps({"settings": old}))
    assert train_clip.JOB.run(config) == {}


def test_a_preset_is_trained_by_as_far_as_flags_let_it(lake: Path) -> None:
    small = flags(
        lake=lake, name="preset", preset="datacomp-small", model="small", image_size=32, max_steps=1, vocab_size=400
    )
    assert call(train_clip.JOB.main, *small).out == "train_clip: 1 steps, 108 samples\n"
    settings = facts_of(lake, "preset")["settings"]
    assert (settings["batch_size"], settings["samples"], settings["warmup_steps"]) == (4096, 12_800_000, 500)
    assert (settings["crop"], settings["flip"], settings["hni_weight"]) == ("random_resized", False, 0)
    assert set(figures(lake, "preset")["train/hni"] + figures(lake, "preset")["train/stc"]) == {0}
    assert figures(lake, "preset")["train/learning_rate"] == [pytest.approx(5e-4 / 500)]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"preset": "datacomp"}, "unknown preset 'datacomp': expected one of datacomp-small, "),
        ({"model": "bert"}, "unknown model 'bert': expected one of small, ViT-B-32, "),
        (
            {"model": "small-SigLIP", "label_smoothing": 0.1},
            "--label-smoothing is of CLIP's loss, a softmax: expected 0",
        ),
        ({"spark": 3}, "--batch-size 16 is not shared equally by 3 processes"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_begins(
    wrong: dict[str, object], said: str, lake: Path
) -> None:
    assert said in call(train_clip.JOB.main, *flags(lake=lake, name="wrong", **{**SMALL, **wrong})).error
    assert not (lake / "_models" / "wrong").exists()
