"""Training on a small made set: four colours with their names."""

import json
import weakref
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from lakehouse import peers
from lakehouse.errors import StreamError
from tests.together import run_together
from tests.udfs.clip.tiny import TINY, TINY_SIGLIP
from udfs.clip.model import Sizes, TaggedClip, begin, save_clip, small_clip
from udfs.clip.retrieval import embed_images, embed_texts, recall_at
from udfs.clip.start import find_start
from udfs.clip.tokenizer import train_tokenizer
from udfs.clip.trainer import Trainer
from udfs.clip.training import Pace, Recipe, Tally, train

pytestmark = pytest.mark.train

COLOURS = {"red": (220, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 220), "yellow": (230, 220, 20)}
TEXTS = [f"a {colour} square" for colour in COLOURS]
TOKENIZER = train_tokenizer(TEXTS * 3, vocab_size=300, max_tokens=TINY.max_tokens)
RECIPE = Recipe(learning_rate=3e-3, hni_weight=0.5, stc_weight=0.5, word_dropout=0.2, precision="float32")


@dataclass(frozen=True)
class Squares:
    image: torch.Tensor
    text: list[str]
    negative_text: list[str | None]
    tag_ids: list[npt.NDArray[np.int32]]
    sample_id: list[str]


def _squares(seed: int) -> Squares:
    noise = torch.randint(-20, 20, (4, 3, 16, 16), generator=torch.Generator().manual_seed(seed))
    image = (torch.tensor(list(COLOURS.values())).view(4, 3, 1, 1) + noise).to(torch.uint8)
    tags = [np.array([i], np.int32) for i in range(4)]
    return Squares(image, TEXTS, [TEXTS[1], None, TEXTS[0], None], tags, [f"{seed}/{i}" for i in range(4)])


def _epochs(epochs: range) -> Iterator[list[Squares]]:
    return ([_squares(2 * epoch), _squares(2 * epoch + 1)] for epoch in epochs)


def _model(sizes: Sizes = TINY) -> TaggedClip:
    return small_clip(TOKENIZER, sizes, tag_count=4)


def _run(model: TaggedClip, recipe: Recipe = RECIPE, epochs: range = range(30)) -> Tally:
    return train(_epochs(epochs), model, TOKENIZER, recipe, steps=60, progress=lambda pace: None)


@pytest.mark.parametrize(("sizes", "rate"), [(TINY, 3e-3), (TINY_SIGLIP, 1e-2)])
def test_training_makes_every_colour_found(sizes: Sizes, rate: float) -> None:
    model = _model(sizes)
    result = _run(model, replace(RECIPE, word_dropout=0.0, neg_columns=True, learning_rate=rate))
    assert result.losses[-1] < result.losses[0] / 2
    similarity = embed_texts(model, TOKENIZER, TEXTS) @ embed_images(model, [_squares(999).image]).T
    assert recall_at(similarity, ks=(1,)) == {"text_to_image_r1": 1.0, "image_to_text_r1": 1.0}


def test_the_result_counts_what_was_done() -> None:
    result = _run(_model(), epochs=range(3))
    assert (result.steps, result.samples, len(result.losses)) == (6, 24, 3)


def test_the_same_seed_gives_the_same_losses() -> None:
    assert _run(_model(), epochs=range(5)).losses == _run(_model(), epochs=range(5)).losses


def test_another_seed_draws_other_words() -> None:
    other = replace(RECIPE, seed=1)
    assert _run(_model(), epochs=range(5)).losses != _run(_model(), other, epochs=range(5)).losses


@pytest.mark.parametrize("stop", [2, 3])
def test_a_run_that_stopped_after_any_step_goes_on_as_if_it_had_not(stop: int) -> None:
    recipe = replace(RECIPE, ema=0.9)
    undisturbed, model, states = _model(), _model(), list[dict[str, Any]]()
    whole = _run(undisturbed, recipe, epochs=range(4))
    train(
        _epochs(range(2)),
        _model(),
        TOKENIZER,
        recipe,
        steps=60,
        progress=lambda pace: None,
        after_step=lambda state: states.append(deepcopy(state())),
    )
    epochs = list(_epochs(range(4)))
    left = [[batch for place, batch in enumerate(epoch) if 2 * at + place >= stop] for at, epoch in enumerate(epochs)]
    resumed = train(
        left[states[stop - 1]["trainer"]["epoch"] :],
        model,
        TOKENIZER,
        recipe,
        steps=60,
        progress=lambda pace: None,
        resume=lambda: states[stop - 1],
    )
    assert (resumed.losses, resumed.steps, resumed.samples) == (whole.losses, whole.steps, whole.samples)
    assert all(a.equal(b) for a, b in zip(model.parameters(), undisturbed.parameters(), strict=True))


def test_nobody_holds_what_a_training_went_on_from() -> None:
    held, before, is_gone = dict[str, Any](), list[dict[str, Any]](), list[bool]()
    options: Any = {"steps": 4, "progress": lambda pace: None}
    recipe = replace(RECIPE, ema=0.9)
    train(_epochs(range(1)), _model(), TOKENIZER, recipe, after_step=lambda state: before.append(state()), **options)
    held["training"] = deepcopy(before[-1])
    weights = [weakref.ref(held["training"]["model"][name]) for name in before[-1]["model"]]
    train(
        _epochs(range(1, 2)),
        _model(),
        TOKENIZER,
        recipe,
        resume=partial(held.pop, "training"),
        after_step=lambda state: is_gone.append(not any(weight() is not None for weight in weights)),
        **options,
    )
    assert is_gone == [True, True]


def test_the_averaged_weights_are_what_a_training_leaves() -> None:
    averaged, weights = _model(), list[torch.Tensor]()
    _, scale = _model(), averaged.clip.logit_scale.detach().clone()

    def keep(state: Any) -> None:
        weights.append(state()["model"]["clip.logit_scale"].clone())

    options: Any = {"steps": 8, "progress": lambda pace: None}
    train(_epochs(range(4)), averaged, TOKENIZER, replace(RECIPE, ema=0.3), after_step=keep, **options)
    for step, weight in enumerate(weights, start=1):
        left = min(0.3, (1 + step) / (10 + step))
        scale = left * scale + (1 - left) * weight
    assert len({weight.item() for weight in weights}) == 8
    assert averaged.clip.logit_scale.item() == pytest.approx(scale.item(), rel=1e-6)
    assert averaged.clip.logit_scale.item() != weights[-1].item()


def test_an_average_that_is_not_asked_for_leaves_the_last_weights() -> None:
    plain, kept = _model(), _model()
    _run(plain, epochs=range(2))
    train(_epochs(range(2)), kept, TOKENIZER, replace(RECIPE, ema=0.0), steps=60, progress=lambda pace: None)
    assert all(a.equal(b) for a, b in zip(plain.parameters(), kept.parameters(), strict=True))


def bytes_kept(recipe: Recipe) -> tuple[int, dict[str, float], list[torch.Tensor]]:
    """Return the bytes that a step keeps for its backward pass, its figures, and the gradients."""
    model, kept = _model(replace(TINY, image_layers=4)), list[int]()

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.nbytes)
        return tensor

    trainer = Trainer(model, TOKENIZER, recipe, steps=10)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        figures = trainer.learn(_squares(0))
    return sum(kept), figures, [weights.grad for weights in model.parameters() if weights.grad is not None]


def test_layers_that_are_computed_again_teach_the_same_from_less_memory() -> None:
    more, plain, wanted = bytes_kept(RECIPE)
    less, again, gradients = bytes_kept(replace(RECIPE, gradient_checkpointing=True))
    assert less < more / 2
    assert again == pytest.approx(plain, rel=1e-6)
    assert all(torch.allclose(one, other, atol=1e-7) for one, other in zip(gradients, wanted, strict=True))


def test_negatives_as_columns_make_the_task_harder() -> None:
    plain, columns = (
        Trainer(_model(), TOKENIZER, replace(RECIPE, hni_weight=0.0, neg_columns=neg_columns), steps=10)
        for neg_columns in (False, True)
    )
    assert columns.learn(_squares(0))["contrastive"] > plain.learn(_squares(0))["contrastive"]
    nobody = replace(_squares(0), negative_text=[None] * 4)
    again = Trainer(_model(), TOKENIZER, replace(RECIPE, hni_weight=0.0, neg_columns=True), steps=10)
    alone = Trainer(_model(), TOKENIZER, replace(RECIPE, hni_weight=0.0), steps=10)
    assert again.learn(nobody) == alone.learn(nobody)


def test_the_scale_of_a_siglip_is_not_held() -> None:
    model = _model(TINY_SIGLIP)
    with torch.no_grad():
        model.clip.logit_scale.fill_(5.0)
    figures = Trainer(model, TOKENIZER, RECIPE, steps=10).learn(_squares(0))
    assert figures["logit_scale"] > 100
    assert figures["logit_bias"] != -10
    assert figures["loss"] == pytest.approx(figures["sigmoid"] + 0.5 * (figures["hni"] + figures["stc"]), rel=1e-5)


def test_a_weight_of_zero_leaves_negatives_unread() -> None:
    recipe = replace(RECIPE, hni_weight=0.0)
    trainer = Trainer(_model(), TOKENIZER, recipe, steps=10)
    assert trainer.learn(_squares(0))["hni"] == 0.0


def test_a_model_without_a_tag_head_has_no_tag_loss() -> None:
    trainer = Trainer(small_clip(TOKENIZER, TINY), TOKENIZER, RECIPE, steps=10)
    figures = trainer.learn(_squares(0))
    assert figures["stc"] == 0.0
    assert figures["loss"] == pytest.approx(figures["contrastive"] + 0.5 * figures["hni"], rel=1e-5)


def test_a_batch_without_negatives_trains() -> None:
    squares = replace(_squares(0), negative_text=[None] * 4)
    assert Trainer(_model(), TOKENIZER, RECIPE, steps=10).learn(squares)["hni"] == 0.0


def test_the_logit_scale_stays_at_or_below_a_hundred() -> None:
    model = _model()
    with torch.no_grad():
        model.clip.logit_scale.fill_(9.0)
    Trainer(model, TOKENIZER, RECIPE, steps=10).learn(_squares(0))
    assert model.logit_scale.item() == pytest.approx(100)


def test_every_step_is_logged() -> None:
    class Scalars:
        def __init__(self) -> None:
            self.rows: list[tuple[str, int]] = []

        def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
            self.rows.append((tag, global_step))

    log = Scalars()
    told: Any = {"log": log, "watch": lambda: {"stream/rows": 4.0}, "progress": lambda pace: None}
    train(_epochs(range(2)), _model(), TOKENIZER, RECIPE, steps=4, **told)
    assert [step for tag, step in log.rows if tag == "train/loss"] == [1, 2, 3, 4]
    assert [step for tag, step in log.rows if tag == "stream/rows"] == [1, 2, 3, 4]
    assert {tag for tag, _ in log.rows} >= {"train/contrastive", "train/hni", "train/stc", "train/samples_per_second"}


def test_progress_is_told_as_often_as_asked() -> None:
    paces = list[Pace]()
    train(_epochs(range(3)), _model(), TOKENIZER, RECIPE, steps=6, progress=paces.append, progress_every=2)
    assert [(pace.step, pace.steps, pace.samples) for pace in paces] == [(2, 6, 8), (4, 6, 16), (6, 6, 24)]


def test_a_stream_without_a_batch_is_refused() -> None:
    with pytest.raises(StreamError, match="the stream gave no batch"):
        train([[]], _model(), TOKENIZER, RECIPE, steps=1)


@pytest.mark.parametrize(("rows", "sizes"), [(1, TINY), (2, TINY), (3, TINY), (3, TINY_SIGLIP)])
def test_parts_of_a_batch_teach_what_the_whole_does(rows: int, sizes: Sizes) -> None:
    whole, parts = _model(sizes), _model(sizes)
    for seed in range(3):
        squares = replace(_squares(seed), negative_text=[TEXTS[3], None, None, None])
        # From the same weights: what Adam makes of a last bit grows from step to step.
        parts.load_state_dict(whole.state_dict())
        figures = [
            Trainer(model, TOKENIZER, replace(RECIPE, micro_batch=micro), steps=10).learn(squares)
            for model, micro in ((whole, 0), (parts, rows))
        ]
        assert figures[0] == pytest.approx(figures[1], rel=1e-5)
        for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
            assert one.grad is not None
            assert other.grad is not None
            assert torch.allclose(one.grad, other.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("sizes", [TINY, TINY_SIGLIP])
@pytest.mark.parametrize("has_weights", [True, False])
def test_a_folder_with_dropout_is_taught_the_same_in_parts(
    sizes: Sizes, has_weights: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_clip(tmp_path, _model(sizes), TOKENIZER)
    config = json.loads((tmp_path / "config.json").read_text())
    for tower in ("text_config", "vision_config"):
        config[tower]["attention_dropout"] = 0.3
    (tmp_path / "config.json").write_text(json.dumps(config))
    if not has_weights:
        (tmp_path / "model.safetensors").unlink()
    start = find_start(str(tmp_path), None)
    whole, parts = (begin(start, TOKENIZER, tag_count=4, seed=0).train() for _ in range(2))
    assert "note: attention_dropout is set to 0" in capsys.readouterr().err
    for model, micro in ((whole, 0), (parts, 2)):
        Trainer(model, TOKENIZER, replace(RECIPE, micro_batch=micro), steps=10).learn(_squares(0))
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.allclose(one.grad, other.grad, rtol=1e-4, atol=1e-6)
    assert whole.clip.config.vision_config.attention_dropout == 0


LEARNERS: dict[str, tuple[Sizes, Recipe]] = {
    "clip": (TINY, RECIPE),
    "clip in parts": (TINY, replace(RECIPE, micro_batch=1)),
    "clip with columns": (TINY, replace(RECIPE, neg_columns=True, gradient_checkpointing=True, ema=0.5)),
    "siglip": (TINY_SIGLIP, RECIPE),
    "siglip with columns in parts": (TINY_SIGLIP, replace(RECIPE, neg_columns=True, micro_batch=1, ema=0.5)),
}


def steps_together() -> dict[str, list[float]]:
    """Return the losses of four steps of each learner on this process's share of the rows, then its last scale."""
    rows = 4 // peers.world_size()
    own, told = slice(peers.rank() * rows, (peers.rank() + 1) * rows), dict[str, list[float]]()
    for name, (sizes, recipe) in LEARNERS.items():
        model = _model(sizes)
        trainer = Trainer(model, TOKENIZER, recipe, steps=4)
        told[name] = [trainer.learn(share(_squares(seed), own))["loss"] for seed in range(4)]
        trainer.finish()
        told[name].append(model.logit_scale.item())
    return told


def share(batch: Squares, own: slice) -> Squares:
    return Squares(**{field.name: getattr(batch, field.name)[own] for field in fields(Squares)})


def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    alone = steps_together()
    for told in run_together(steps_together, 2, tmp_path):
        for name, losses in told.items():
            assert losses == pytest.approx(alone[name], rel=1e-4), name
