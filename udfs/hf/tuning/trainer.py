"""One step of tuning: the loss of the answers' tokens alone, and the update of the weights."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch.nn.functional import cross_entropy

from lakehouse.errors import ModelFailed
from udfs.hf.tuning.batches import NOT_LEARNT, Batch
from udfs.hf.tuning.recipe import Recipe
from udfs.hf.tuning.student import Student
from udfs.optimizer import adamw, schedule

MOST_GRADIENT: Final = 1.0
"""The gradients of a step, taken together, are made no longer than this."""


@dataclass(frozen=True)
class Step:
    """What one step did: mean loss of a token (nats), the tokens that were learnt, and the learning rate."""

    step: int
    loss: float
    tokens: int
    learning_rate: float


class Trainer:
    """A student while it is tuned; ``step`` counts the steps done of ``steps``, over which the learning rate falls."""

    def __init__(self, student: Student, recipe: Recipe, steps: int) -> None:
        self.step, self.steps = 0, steps
        self._student, self._recipe = student, recipe
        self._trained = student.trained
        self._optimizer = adamw(
            self._trained.values(),
            learning_rate=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            beta2=0.999,
            eps=1e-8,
        )

    def learn(self, batches: Sequence[Batch]) -> Step:
        """Do one step over all ``batches``, each token alike; raise ModelFailed where the loss is no number."""
        rate = self._recipe.learning_rate * schedule(self.step, self.steps, self._recipe.warmup)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        # Dropout, if the model has any, is the same however often a run was cut.
        torch.manual_seed(hash((self._recipe.seed, self.step)))
        self._student.model.train()
        tokens = sum(batch.tokens for batch in batches)
        loss = math.fsum(self._add_gradients(batch, tokens) for batch in batches)
        self._update(loss)
        self.step += 1
        return Step(self.step, loss, tokens, rate)

    def skip(self) -> None:
        """Pass over a step that there is nothing to learn in."""
        self.step += 1

    @torch.no_grad()
    def loss(self, batch: Batch) -> float:
        """Return the loss of ``batch``, summed over its tokens, without learning from it."""
        self._student.model.eval()
        return float(self._summed(batch))

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return what a later run needs, beside ``step``, to go on as if never stopped."""
        found = {f"weights/{name}": weights.detach() for name, weights in self._trained.items()}
        for name, weights in self._trained.items():
            found |= {f"{part}/{name}": value for part, value in self._optimizer.state.get(weights, {}).items()}
        return {name: value.contiguous() for name, value in found.items()}

    def load(self, tensors: Mapping[str, torch.Tensor], step: int) -> None:
        """Go on behind ``step`` from its ``tensors``."""
        self.step = step
        with torch.no_grad():
            for name, weights in self._trained.items():
                weights.copy_(tensors[f"weights/{name}"])
        for key, value in tensors.items():
            part, _, name = key.partition("/")
            if part != "weights":
                weights = self._trained[name]
                self._optimizer.state[weights][part] = value.to(weights.device)

    def _add_gradients(self, batch: Batch, tokens: int) -> float:
        try:
            loss = self._summed(batch) / tokens
            torch.autograd.backward(loss)
            return float(loss.detach())
        except torch.OutOfMemoryError as error:
            raise ModelFailed(
                f"a step does not fit into the memory of {self._device}: lower --micro-batch, or try "
                "--gradient-checkpointing or --lora-rank 16"
            ) from error

    def _update(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise ModelFailed(f"the loss of step {self.step + 1} is {loss}: lower --learning-rate")
        torch.nn.utils.clip_grad_norm_(self._trained.values(), MOST_GRADIENT)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

    def _summed(self, batch: Batch) -> torch.Tensor:
        wanted = batch.labels[:, 1:].to(self._device)
        is_learnt = wanted != NOT_LEARNT
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._student.arithmetic == torch.bfloat16):
            logits = self._student.model(**self._on_device(batch), use_cache=False).logits
        # Of the answers' places alone: in float32, those of a whole prompt would not fit beside the model.
        return cross_entropy(logits[:, :-1][is_learnt].float(), wanted[is_learnt], reduction="sum")

    def _on_device(self, batch: Batch) -> dict[str, Any]:
        dtype = self._student.base.dtype
        return {
            name: values.to(self._device, dtype if values.is_floating_point() else None)
            for name, values in batch.inputs.items()
        }

    @property
    def _device(self) -> torch.device:
        return self._student.engine.device
