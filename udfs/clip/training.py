"""The training loop: epochs of batches in, a trained model out; the same batches and seed give the same losses."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from transformers import PreTrainedTokenizerFast

from lakehouse.errors import StreamError
from lakehouse.peers import world_size
from udfs.clip.model import TaggedClip
from udfs.clip.recipe import Recipe
from udfs.clip.trainer import TrainBatch, Trainer
from udfs.pace import Pace, print_pace

__all__ = ["Pace", "Recipe", "Scalars", "Tally", "TrainBatch", "Trainer", "train"]


class Scalars(Protocol):
    """Where figures go while training; TensorBoard's ``SummaryWriter`` is one."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> Any:
        """Record one figure at one step."""


@dataclass
class Tally:
    """What a training has done so far, over all its processes and in all its lives.

    ``losses`` are the mean total loss of each whole epoch, in nats; what begins with ``epoch`` is of the one under way.
    """

    steps: int = 0
    samples: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    epoch_loss: float = 0.0
    epoch_steps: int = 0

    def add(self, loss: float, samples: int) -> None:
        """Count a step."""
        self.steps += 1
        self.samples += samples
        self.epoch_loss += loss
        self.epoch_steps += 1

    def end_epoch(self) -> None:
        """Begin to count another epoch."""
        self.losses.append(self.epoch_loss / self.epoch_steps if self.epoch_steps else float("nan"))
        self.epoch_loss, self.epoch_steps = 0.0, 0


def train(
    epochs: Iterable[Iterable[TrainBatch]],
    model: TaggedClip,
    tokenizer: PreTrainedTokenizerFast,
    recipe: Recipe = Recipe(),  # noqa: B008 # frozen
    *,
    steps: int,
    log: Scalars | None = None,
    watch: Callable[[], Mapping[str, float]] = dict,
    progress: Callable[[Pace], None] = partial(print_pace, job="train_clip"),  # noqa: B008 # keeps nothing
    progress_every: int = 50,
    after_step: Callable[[Callable[[], dict[str, Any]]], None] | None = None,
    resume: Callable[[], Mapping[str, Any]] | None = None,
) -> Tally:
    """Train ``model`` in place on every batch of ``epochs``; leave it in evaluation mode, with the weights to be kept.

    Args:
        epochs: batches of each epoch that is left to do, such as one ``CaptionStream`` again and again
        model, tokenizer: a pair, as ``small_clip`` makes it from the tokenizer
        recipe: how to train
        steps: batches of the whole run, over which the learning rate falls; further ones train at a rate of zero
        log: takes the figures of every step
        watch: returns further figures of a step, to be logged by these names
        progress: called every ``progress_every`` steps
        after_step: called after each step with a function that returns what ``resume`` takes
        resume: returns the state after any step, and is called once: nobody need hold it while the training goes on;
            ``epochs`` must begin with what was left of its epoch

    Raises:
        StreamError: the epochs hold no batch at all
    """
    trainer, tally = Trainer(model, tokenizer, recipe, steps), Tally()
    if resume is not None:
        tally = _loaded(trainer, resume())
    before, began = replace(tally), time.monotonic()

    def state() -> dict[str, Any]:
        return {"tally": asdict(tally), "model": model.state_dict(), "trainer": trainer.state_dict()}

    model.train()
    for batches in epochs:
        for batch in batches:
            figures = trainer.learn(batch)
            tally.add(figures["loss"], len(batch.text) * world_size())
            seconds = time.monotonic() - began
            tally.seconds = before.seconds + seconds
            samples = tally.samples - before.samples
            pace = Pace(tally.steps, steps, samples, seconds, figures["loss"], began=before.steps)
            own = {f"train/{name}": value for name, value in figures.items()}
            _record(log, {**own, "train/samples_per_second": pace.rate, **watch()}, trainer.step)
            if pace.step % progress_every == 0:
                progress(pace)
            if after_step is not None:
                after_step(state)
        trainer.epoch += 1
        tally.end_epoch()
    if not tally.steps:
        raise StreamError("cannot train: the stream gave no batch; expected at least one")
    trainer.finish()
    return tally


def _loaded(trainer: Trainer, state: Mapping[str, Any]) -> Tally:
    """Bring a trainer with its model to where ``state`` was taken; return what had been done."""
    trainer.model.load_state_dict(state["model"])
    trainer.load_state_dict(state["trainer"])
    return Tally(**state["tally"])


def _record(log: Scalars | None, figures: Mapping[str, float], step: int) -> None:
    if log is not None:
        for name, value in figures.items():
            log.add_scalar(name, value, step)
