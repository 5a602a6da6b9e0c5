"""The training loop: epochs of batches in, a trained model out; the same batches and seed give the same losses."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from transformers import PreTrainedTokenizerFast

from lakehouse.errors import StreamError
from lakehouse.peers import world_size
from udfs.clip.model import TaggedClip
from udfs.clip.trainer import Recipe, TrainBatch, Trainer
from udfs.pace import Pace, print_pace

__all__ = ["Pace", "Recipe", "Scalars", "TrainBatch", "TrainResult", "Trainer", "train"]


class Scalars(Protocol):
    """Where figures go while training; TensorBoard's ``SummaryWriter`` is one."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> Any:
        """Record one figure at one step."""


@dataclass(frozen=True)
class TrainResult:
    """What a run did: steps, samples and seconds of this run, and the mean total loss of each epoch, in nats."""

    steps: int
    samples: int
    seconds: float
    losses: tuple[float, ...]


@dataclass
class _Tally:
    """What has been done since the run began."""

    steps: int
    samples: int = 0
    losses: list[float] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def add(self, loss: float, samples: int) -> Pace:
        self.losses.append(loss)
        self.samples += samples
        return Pace(len(self.losses), self.steps, self.samples, self.seconds, loss)


def train(
    epochs: Iterable[Iterable[TrainBatch]],
    model: TaggedClip,
    tokenizer: PreTrainedTokenizerFast,
    recipe: Recipe = Recipe(),  # noqa: B008 # frozen
    *,
    steps: int,
    log: Scalars | None = None,
    progress: Callable[[Pace], None] = partial(print_pace, job="train_clip"),  # noqa: B008 # keeps nothing
    progress_every: int = 50,
    after_epoch: Callable[[Trainer], None] | None = None,
    resume: dict[str, Any] | None = None,
) -> TrainResult:
    """Train ``model`` in place on every batch of ``epochs``; leave it in evaluation mode.

    Args:
        epochs: batches of each epoch that is left to do, such as one ``CaptionStream`` again and again
        model, tokenizer: a pair, as ``small_clip`` makes it from the tokenizer
        recipe: how to train
        steps: batches of the whole run, over which the learning rate falls; further ones train at a rate of zero
        log: takes the figures of every step
        progress: called every ``progress_every`` steps
        after_epoch: called with the trainer, whose ``state_dict()`` is what ``resume`` takes
        resume: state after the last whole epoch; ``model`` must hold the weights of that moment

    Raises:
        StreamError: the epochs hold no batch at all
    """
    trainer = Trainer(model, tokenizer, recipe, steps)
    if resume is not None:
        trainer.load_state_dict(resume)
    tally, of_epochs = _Tally(steps - trainer.step), list[float]()
    model.train()
    for batches in epochs:
        before = len(tally.losses)
        for batch in batches:
            figures = trainer.learn(batch)
            pace = tally.add(figures["loss"], len(batch.text) * world_size())
            _record(log, figures | {"samples_per_second": pace.rate}, trainer.step)
            if pace.step % progress_every == 0:
                progress(pace)
        trainer.epoch += 1
        of_epochs.append(_mean(tally.losses[before:]))
        if after_epoch is not None:
            after_epoch(trainer)
    if not tally.losses:
        raise StreamError("cannot train: the stream gave no batch; expected at least one")
    model.eval()
    return TrainResult(len(tally.losses), tally.samples, tally.seconds, tuple(of_epochs))


def _record(log: Scalars | None, figures: dict[str, float], step: int) -> None:
    if log is not None:
        for name, value in figures.items():
            log.add_scalar(f"train/{name}", value, step)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else float("nan")
