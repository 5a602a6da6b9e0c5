"""Training on a small made set: four colours with their names."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from lakehouse import peers
from lakehouse.errors import StreamError
from tests.together import run_together
from tests.udfs.clip.tiny import TINY
from udfs.clip.model import TaggedClip, small_clip
from udfs.clip.retrieval import embed_images, embed_texts, recall_at
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


def _model() -> TaggedClip:
    return small_clip(TOKENIZER, TINY, tag_count=4)


def _run(model: TaggedClip, recipe: Recipe = RECIPE, epochs: range = range(30)) -> Tally:
    return train(_epochs(epochs), model, TOKENIZER, recipe, steps=60, progress=lambda pace: None)


def test_training_makes_every_colour_found() -> None:
    model = _model()
    result = _run(model, replace(RECIPE, word_dropout=0.0))
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
    whole, states = _run(_model(), epochs=range(4)), list[dict[str, Any]]()
    train(
        _epochs(range(2)),
        _model(),
        TOKENIZER,
        RECIPE,
        steps=60,
        progress=lambda pace: None,
        after_step=lambda state: states.append(deepcopy(state())),
    )
    epochs = list(_epochs(range(4)))
    left = [[batch for place, batch in enumerate(epoch) if 2 * at + place >= stop] for at, epoch in enumerate(epochs)]
    resumed = train(
        left[states[stop - 1]["trainer"]["epoch"] :],
        _model(),
        TOKENIZER,
        RECIPE,
        steps=60,
        progress=lambda pace: None,
        resume=states[stop - 1],
    )
    assert (resumed.losses, resumed.steps, resumed.samples) == (whole.losses, whole.steps, whole.samples)


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
    train(_epochs(range(2)), _model(), TOKENIZER, RECIPE, steps=4, log=log, progress=lambda pace: None)
    assert [step for tag, step in log.rows if tag == "train/loss"] == [1, 2, 3, 4]
    assert {tag for tag, _ in log.rows} >= {"train/contrastive", "train/hni", "train/stc", "train/samples_per_second"}


def test_progress_is_told_as_often_as_asked() -> None:
    paces = list[Pace]()
    train(_epochs(range(3)), _model(), TOKENIZER, RECIPE, steps=6, progress=paces.append, progress_every=2)
    assert [(pace.step, pace.steps, pace.samples) for pace in paces] == [(2, 6, 8), (4, 6, 16), (6, 6, 24)]


def test_a_stream_without_a_batch_is_refused() -> None:
    with pytest.raises(StreamError, match="the stream gave no batch"):
        train([[]], _model(), TOKENIZER, RECIPE, steps=1)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_parts_of_a_batch_teach_what_the_whole_does(rows: int) -> None:
    whole, parts = _model(), _model()
    for seed in range(3):
        squares = replace(_squares(seed), negative_text=[TEXTS[3], None, None, None])
        figures = [
            Trainer(model, TOKENIZER, replace(RECIPE, micro_batch=micro), steps=10).learn(squares)
            for model, micro in ((whole, 0), (parts, rows))
        ]
        assert figures[0] == pytest.approx(figures[1], rel=1e-5)
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.allclose(one.grad, other.grad, rtol=1e-4, atol=1e-6)


def steps_together() -> list[float]:
    """Return the losses of four steps on this process's share of the rows; towers see one row at a time, or all."""
    recipe = replace(RECIPE, micro_batch=1 if peers.world_size() > 1 else 0)
    trainer, rows = Trainer(_model(), TOKENIZER, recipe, steps=4), 4 // peers.world_size()
    own = slice(peers.rank() * rows, (peers.rank() + 1) * rows)
    return [trainer.learn(share(_squares(seed), own))["loss"] for seed in range(4)]


def share(batch: Squares, own: slice) -> Squares:
    return Squares(**{field.name: getattr(batch, field.name)[own] for field in fields(Squares)})


def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    for losses in run_together(steps_together, 2, tmp_path):
        assert losses == pytest.approx(steps_together(), rel=1e-4)
