"""One step of training: the losses of a batch, their gradients, and the update of the weights."""

import math
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from transformers import PreTrainedTokenizerFast

from lakehouse import peers
from lakehouse.stream.hashing import Hashes, fractions, salted, sample_keys
from udfs.clip.ema import MovingAverage
from udfs.clip.model import TaggedClip
from udfs.clip.objective import Read, Seen, losses_of
from udfs.clip.recipe import Recipe as Recipe
from udfs.clip.tokenizer import token_ids
from udfs.devices import has_bfloat16
from udfs.optimizer import adamw, schedule

_WORDS = 22

LARGEST_SCALE: Final = 100.0
"""The logit scale of a CLIP is held at or below this, as its authors do (section 2.5 of their paper)."""


class TrainBatch(Protocol):
    """What training reads of a batch; ``lakehouse.stream.Batch`` is one."""

    @property
    def image(self) -> Tensor:
        """Uint8 RGB, (rows, 3, side, side)."""

    @property
    def text(self) -> list[str]:
        """A text that is true of the image."""

    @property
    def negative_text(self) -> list[str | None]:
        """A text that is false of the image, None where there is none."""

    @property
    def tag_ids(self) -> Sequence[npt.NDArray[np.int32]]:
        """Positive tags as places in the vocabulary."""

    @property
    def sample_id(self) -> Sequence[str]:
        """Keys of the rows: what is drawn at random for a row is drawn by its key."""


class Trainer:
    """A model while it is being trained, by this process or by all of an initialised ``torch.distributed`` together.

    ``steps`` is the length of the whole run, over which the learning rate falls; ``step`` counts those done and
    ``epoch`` the whole epochs done. What is drawn at random for a row depends on its key, the seed and the epoch alone:
    however many processes share the rows of a step, they learn the same from it.
    """

    def __init__(self, model: TaggedClip, tokenizer: PreTrainedTokenizerFast, recipe: Recipe, steps: int) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.recipe = recipe
        self.steps = steps
        self.step = 0
        self.epoch = 0
        self._optimizer = _optimizer(model, recipe)
        self._is_bfloat16 = _is_bfloat16(recipe.precision, model.device)
        # On a CPU the fused attention has a backward pass in bfloat16 that costs more than all the rest of the step:
        # 0.42 s against 0.18 s for 256 rows.
        model.clip.set_attn_implementation("eager" if model.device.type == "cpu" else "sdpa")
        if recipe.gradient_checkpointing:
            with warnings.catch_warnings(action="ignore", category=FutureWarning):
                # Its next name, activation_checkpointing_enable, is not in all versions that are allowed.
                model.clip.gradient_checkpointing_enable({"use_reentrant": False})
        if model.tag_head is not None:
            # What is not learnt from must not be waited for.
            model.tag_head.requires_grad_(recipe.stc_weight > 0)
        self._average = MovingAverage(model, recipe.ema) if recipe.ema else None
        self._together = DistributedDataParallel(model, broadcast_buffers=False) if peers.world_size() > 1 else model

    def learn(self, batch: TrainBatch) -> dict[str, float]:
        """Do one step; return its losses by name (nats), the total as ``loss``, learning rate and logit scale.

        Losses are those of all processes' rows.
        """
        rate = self.recipe.learning_rate * schedule(self.step, self.steps, self.recipe.warmup_of(self.steps))
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.zero_grad(set_to_none=True)
        losses = self._learn(self._read(batch))
        self._optimizer.step()
        self.step += 1
        if not self.model.family.is_sigmoid:
            with torch.no_grad():
                self.model.clip.logit_scale.clamp_(0, math.log(LARGEST_SCALE))
        if self._average is not None:
            self._average.follow(self.model, self.step)
        figures = peers.mean(torch.stack([*losses.values()])).tolist()
        told = dict(zip(losses, figures, strict=True))
        bias = {} if self.model.logit_bias is None else {"logit_bias": self.model.logit_bias.item()}
        return {**told, "learning_rate": rate, "logit_scale": self.model.logit_scale.item(), **bias}

    def finish(self) -> None:
        """Leave in the model what is to be used of it: the moving average of its weights, where there is one."""
        if self._average is not None:
            self._average.put_into(self.model)
        self.model.eval()

    def state_dict(self) -> dict[str, Any]:
        """Return what a later run needs, beside the model's weights, to go on as if never stopped."""
        average = {} if self._average is None else {"average": self._average.state_dict()}
        return {"step": self.step, "epoch": self.epoch, "optimizer": self._optimizer.state_dict(), **average}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state``, taken after any step."""
        self.step, self.epoch = state["step"], state["epoch"]
        self._optimizer.load_state_dict(state["optimizer"])
        if self._average is not None:
            self._average.load_state_dict(state["average"])

    def _read(self, batch: TrainBatch) -> Read:
        """Draw what is drawn, and turn texts into tokens: one that many rows carry is embedded once."""
        keys = salted(sample_keys(pa.array(batch.sample_id, pa.string())), self.recipe.seed, self.epoch)
        negatives = batch.negative_text if self.recipe.reads_negatives else [None] * len(batch.text)
        texts = [*self._thinned(batch.text, keys), *(text for text in negatives if text is not None)]
        places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        return Read(
            images=batch.image,
            ids=token_ids(self.tokenizer, list(places)),
            places=torch.tensor([places[text] for text in texts]),
            has_negative=torch.tensor([text is not None for text in negatives]),
            tag_ids=batch.tag_ids,
        )

    def _learn(self, read: Read) -> dict[str, Tensor]:
        """Leave the gradients of the losses at the weights; return the losses."""
        parts = min(math.ceil(len(read.images) / (self.recipe.micro_batch or len(read.images))), len(read.ids))
        if parts == 1:
            losses = losses_of(self._seen(self._together, read.images, read.ids), read, self.recipe)
            torch.autograd.backward(losses["loss"])
            return losses
        return self._learn_in_parts(read, parts)

    def _learn_in_parts(self, read: Read, parts: int) -> dict[str, Tensor]:
        """Do as ``_learn`` does, with the towers' inner values of one part at a time in memory.

        The losses need the features of all rows at once. They are made without gradients, the losses say what gradient
        each feature has, and a second pass carries that to the weights (Gao et al. 2021, gradient caching). Both passes
        must see the same: the model has no dropout, which ``begin`` sees to.
        """
        inputs = list(zip(read.images.tensor_split(parts), read.ids.tensor_split(parts), strict=True))
        with torch.no_grad():
            seen = [self._seen(self.model, images, ids) for images, ids in inputs]
        leaves = [torch.cat(pieces).requires_grad_() for pieces in zip(*(one.learnt for one in seen), strict=True)]
        with self._alone():
            losses = losses_of(Seen(leaves, self.model.logit_scale, self.model.logit_bias), read, self.recipe)
            torch.autograd.backward(losses["loss"])
        gradients = [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves]
        sizes = [[len(piece) for piece in pieces] for pieces in zip(*(one.learnt for one in seen), strict=True)]
        of_parts = zip(*map(torch.split, gradients, sizes), strict=True)
        for number, ((images, ids), wanted) in enumerate(zip(inputs, of_parts, strict=True), start=1):
            # The last part's backward pass is the one in which processes add up what all parts have left.
            with nullcontext() if number == parts else self._alone():
                again = self._seen(self._together, images, ids)
                carried = [(piece * gradient).sum() for piece, gradient in zip(again.learnt, wanted, strict=True)]
                torch.autograd.backward(torch.stack(carried).sum() + again.nothing)
        return losses

    def _seen(self, model: nn.Module, images: Tensor, ids: Tensor) -> Seen:
        with torch.autocast(self.model.device.type, torch.bfloat16, enabled=self._is_bfloat16):
            image, text, tags, scale, bias = model(images, ids)
        return Seen([image, text, *([] if tags is None else [tags])], scale, bias)

    def _alone(self) -> AbstractContextManager[None]:
        """Keep gradients from the other processes inside the block."""
        together = self._together
        return together.no_sync() if isinstance(together, DistributedDataParallel) else nullcontext()

    def _thinned(self, texts: Sequence[str], keys: Hashes) -> list[str]:
        share = self.recipe.word_dropout
        return [_thinned(text, key, share) for text, key in zip(texts, keys, strict=True)] if share else list(texts)


def _thinned(text: str, key: np.uint64, share: float) -> str:
    words = text.split()
    draws = fractions(salted(np.arange(len(words), dtype=np.uint64), int(key), _WORDS))
    kept = [word for word, draw in zip(words, draws, strict=True) if draw >= share]
    return " ".join(kept or words[:1])


def _optimizer(model: TaggedClip, recipe: Recipe) -> torch.optim.Optimizer:
    decay = {"weight_decay": recipe.weight_decay, "beta2": recipe.beta2}
    return adamw(model.parameters(), learning_rate=recipe.learning_rate, **decay, eps=1e-6)


def _is_bfloat16(precision: str, device: torch.device) -> bool:
    if precision != "auto":
        return precision == "bfloat16"
    return device.type == "cuda" or has_bfloat16(device.type)
