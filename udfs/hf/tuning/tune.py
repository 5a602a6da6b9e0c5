"""The tuning as a whole: seeds in, a folder that ``hf://`` reads out; a run that died goes on from its checkpoint."""

import hashlib
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lakehouse.errors import BadInput
from udfs.ahead import ahead
from udfs.hf.settings import HfSettings
from udfs.hf.tuning.batches import Batch, Batches
from udfs.hf.tuning.chat_file import ChatFile
from udfs.hf.tuning.checkpoint import LOSSES, keep_losses, read_checkpoint, remove_checkpoint, write_checkpoint
from udfs.hf.tuning.recipe import Recipe, check_count, steps_of
from udfs.hf.tuning.student import Student, load_student, save_student
from udfs.hf.tuning.trainer import Step, Trainer
from udfs.pace import Pace

_SAY_EVERY = 10
_AHEAD = 1
"""Steps whose images are decoded while the model learns."""


def tune(
    chats: ChatFile,
    held_out: ChatFile | None,
    student: HfSettings,
    recipe: Recipe,
    folder: Path,
    *,
    progress: Callable[[Pace], None] = lambda pace: None,
) -> dict[str, Any]:
    """Tune ``student`` on ``chats``, leave it in ``folder`` with its losses, and return what came of it.

    ``folder`` may hold what a run that died has left there. Raises BadInput where there are too few chats, ModelFailed
    where the model cannot learn them.
    """
    check_count(len(chats), 0, recipe, what=f"chats in {str(chats.path)!r} can be used")
    with torch.random.fork_rng():
        tuning = _Tuning(chats, held_out, student, recipe, folder, load_student(student, recipe))
        return tuning.run(progress)


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> Sequence[int]:
    order: list[int] = np.random.default_rng((seed, epoch)).permutation(count).tolist()
    return order


def places_of(step: int, *, size: int, count: int, seed: int) -> list[int]:
    """Return the places of ``size`` seeds, of ``count``, for ``step``: each comes once before any comes again.

    >>> sorted(places_of(0, size=4, count=6, seed=7) + places_of(1, size=2, count=6, seed=7)[:0])
    [0, 2, 4, 5]
    """
    return [_order(seed, at // count, count)[at % count] for at in range(step * size, (step + 1) * size)]


@dataclass
class _Tuning:
    """A tuning under way."""

    chats: ChatFile
    held_out: ChatFile | None
    student: HfSettings
    recipe: Recipe
    folder: Path
    loaded: Student
    before: float | None = None
    """Loss of what is held out, before the first step."""
    _samples: int = 0
    _began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._batches = self._batches_of(self.chats)
        self._held_out = self._batches_of(self.held_out) if self.held_out else None
        self._trainer = Trainer(self.loaded, self.recipe, steps_of(self.recipe, len(self.chats)))

    def run(self, progress: Callable[[Pace], None]) -> dict[str, Any]:
        losses = self._resume()
        begun = self._trainer.step
        with (self.folder / LOSSES).open("a") as log:
            for batches in ahead(self._step_batches, range(begun, self._trainer.steps), most=_AHEAD):
                if not batches:
                    self._trainer.skip()
                    continue
                step = self._trainer.learn(batches)
                losses.append(asdict(step))
                log.write(json.dumps(losses[-1]) + "\n")
                log.flush()
                self._samples += sum(len(batch.labels) for batch in batches)
                self._say(step, begun, progress)
                if step.step % self.recipe.checkpoint_every == 0:
                    self._keep()
        return self._end(losses)

    def _resume(self) -> list[dict[str, Any]]:
        """Go on from the checkpoint, if there is one; return the losses up to there."""
        found = read_checkpoint(self.folder)
        if found is None:
            self.before = self._mean_held_out()
            return keep_losses(self.folder, to=0)
        tensors, about = found
        self._trainer.load(tensors, about["step"])
        self.before = about["before"]
        self._batches.left_out = {int(place): reason for place, reason in about["left_out"].items()}
        return keep_losses(self.folder, to=about["step"])

    def _keep(self) -> None:
        about = {"step": self._trainer.step, "before": self.before, "left_out": dict(self._batches.left_out)}
        write_checkpoint(self.folder, self._trainer.tensors(), about)

    def _end(self, losses: Sequence[dict[str, Any]]) -> dict[str, Any]:
        if len(self._batches.left_out) == len(self.chats):
            raise BadInput(f"no chat in {str(self.chats.path)!r} could be learnt from: {self._left_out()}")
        after = self._mean_held_out()
        save_student(self.folder, self.student, self.loaded)
        remove_checkpoint(self.folder)
        return {
            "steps": self._trainer.steps,
            "seeds_digest": self.chats.digest,
            "seeds": len(self.chats) - len(self._batches.left_out),
            "left_out": self._left_out(),
            "loss_first": _mean_of_tenth(losses, last=False),
            "loss_last": _mean_of_tenth(losses, last=True),
            "held_out": len(self.held_out) - len(self._held_out.left_out) if self.held_out and self._held_out else 0,
            "held_out_loss_before": self.before,
            "held_out_loss_after": after,
            "trained_weights": sum(weights.numel() for weights in self.loaded.trained.values()),
            "weights_sha256": weights_hash(self.folder),
        }

    def _left_out(self) -> dict[str, int]:
        return dict(Counter(self.chats.left_out) + Counter(self._batches.left_out.values()))

    def _step_batches(self, step: int) -> list[Batch]:
        places = places_of(step, size=self.recipe.batch_size, count=len(self.chats), seed=self.recipe.seed)
        return list(self._made(self._batches, places))

    def _made(self, batches: Batches, places: Sequence[int]) -> Iterator[Batch]:
        size = self.recipe.micro_batch
        for start in range(0, len(places), size):
            batch = batches.batch(places[start : start + size])
            if batch is not None:
                yield batch

    def _mean_held_out(self) -> float | None:
        """Return the mean loss of a token of what is held out; None where nothing is."""
        if self._held_out is None or self.held_out is None:
            return None
        found = [(self._trainer.loss(one), one.tokens) for one in self._made(self._held_out, range(len(self.held_out)))]
        return math.fsum(loss for loss, _ in found) / sum(tokens for _, tokens in found) if found else None

    def _batches_of(self, chats: ChatFile) -> Batches:
        limits = {"max_pixels": self.student.max_pixels, "max_tokens": self.recipe.max_tokens}
        return Batches(chats, self.loaded.engine, **limits)

    def _say(self, step: Step, begun: int, progress: Callable[[Pace], None]) -> None:
        if step.step % _SAY_EVERY == 0 or step.step == self._trainer.steps:
            seconds = time.monotonic() - self._began
            progress(Pace(step.step, self._trainer.steps, self._samples, seconds, step.loss, began=begun))


def weights_hash(folder: Path) -> str:
    """Return SHA-256, in hex, of the weights in ``folder``: of the file, or of the hashes of its parts in order."""
    hashes = []
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as handle:
            hashes.append(hashlib.file_digest(handle, "sha256").hexdigest())
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def _mean_of_tenth(losses: Sequence[dict[str, Any]], *, last: bool) -> float | None:
    """Return the mean loss of the first or the last tenth of the steps; None where no step has one."""
    own = [line["loss"] for line in losses]
    few = max(1, len(own) // 10)
    chosen = own[-few:] if last else own[:few]
    return math.fsum(chosen) / len(chosen) if chosen else None
