"""One step of training: three losses of HQ-CLIP on a batch, and the update of the weights."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from lakehouse.losses import contrastive, hard_negative_identification, multi_hot, short_tag_classification
from udfs.clip.model import TaggedClip
from udfs.clip.tokenizer import token_ids
from udfs.devices import has_bfloat16
from udfs.optimizer import adamw, schedule

LARGEST_SCALE: Final = 100.0
"""The logit scale is held at or below this, as CLIP's authors do (section 2.5 of their paper)."""


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


@dataclass(frozen=True)
class Recipe:
    """How to train. The defaults suit a small model on a few thousand pairs, on two CPU cores.

    HQ-CLIP did not publish the weights of its two losses: ``hni_weight`` and ``stc_weight`` are ours.
    """

    learning_rate: float = 1e-3
    """At its peak: it rises in a line over ``warmup`` of the steps, then falls to zero along a cosine."""
    warmup: float = 0.1
    weight_decay: float = 0.2
    """Of matrices; biases, gains and the temperature do not decay."""
    beta2: float = 0.98
    hni_weight: float = 0.1
    """Of hard-negative identification. 0 leaves negatives unread."""
    stc_weight: float = 0.01
    """Of short-tag classification, which is a sum over tags. 0 leaves tags unread."""
    smoothing: float = 0.0
    word_dropout: float = 0.0
    """Share of the words of a text that are left out, drawn anew each time it is read; one always stays."""
    flips: bool = True
    """Mirror half of the images, drawn anew in every epoch."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of matrix products; auto takes bfloat16 where there are units for it: CUDA, or AMX on a CPU."""
    seed: int = 0


class Trainer:
    """A model while it is being trained.

    ``steps`` is the length of the whole run, over which the learning rate falls; ``step`` counts those done and
    ``epoch`` the whole epochs done. What is drawn at random depends on the seed and the epoch alone.
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
        self._draw = np.random.default_rng(recipe.seed)
        # On a CPU the fused attention has a backward pass in bfloat16 that costs more than all the rest of the step:
        # 0.42 s against 0.18 s for 256 rows.
        model.clip.set_attn_implementation("eager" if model.device.type == "cpu" else "sdpa")

    def begin_epoch(self) -> None:
        """Set what is drawn in the epoch to come."""
        self._draw = np.random.default_rng((self.recipe.seed, self.epoch))

    def learn(self, batch: TrainBatch) -> dict[str, float]:
        """Do one step; return its losses by name (nats), the total as ``loss``, learning rate and logit scale."""
        rate = self.recipe.learning_rate * schedule(self.step, self.steps, self.recipe.warmup)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        losses = self._losses(batch)
        total = losses["contrastive"]
        total = total + self.recipe.hni_weight * losses["hni"] + self.recipe.stc_weight * losses["stc"]
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(total)
        self._optimizer.step()
        self.step += 1
        with torch.no_grad():
            self.model.clip.logit_scale.clamp_(0, math.log(LARGEST_SCALE))
        figures = {name: loss.item() for name, loss in losses.items()}
        return {"loss": total.item(), **figures, "learning_rate": rate, "logit_scale": self.model.logit_scale.item()}

    def state_dict(self) -> dict[str, Any]:
        """Return what a later run needs, beside the model's weights, to go on as if never stopped."""
        return {"step": self.step, "epoch": self.epoch, "optimizer": self._optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state``, taken after a whole epoch."""
        self.step, self.epoch = state["step"], state["epoch"]
        self._optimizer.load_state_dict(state["optimizer"])

    def _losses(self, batch: TrainBatch) -> dict[str, Tensor]:
        negatives = batch.negative_text if self.recipe.hni_weight else [None] * len(batch.text)
        image, text, negative = self._features(batch, [text for text in negatives if text is not None])
        has_negative = torch.tensor([text is not None for text in negatives], device=image.device)
        scale = self.model.logit_scale
        return {
            "contrastive": contrastive(image, text, scale, smoothing=self.recipe.smoothing),
            "hni": hard_negative_identification(image[has_negative], text[has_negative], negative, scale),
            "stc": self._tag_loss(image, batch),
        }

    def _features(self, batch: TrainBatch, negatives: list[str]) -> tuple[Tensor, Tensor, Tensor]:
        texts = [*map(self._thinned, batch.text), *negatives]
        # A text that many images carry is embedded once.
        places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        with self._arithmetic():
            image = self.model.image_features(self._mirrored(batch.image)).float()
            text = self.model.text_features(token_ids(self.tokenizer, list(places))).float()
        text = text[torch.tensor([places[text] for text in texts], device=text.device)]
        rows = len(batch.text)
        return image, text[:rows], text[rows:]

    def _tag_loss(self, image: Tensor, batch: TrainBatch) -> Tensor:
        head = self.model.tag_head
        if head is None or not self.recipe.stc_weight:
            return image.new_zeros(())
        return short_tag_classification(head(image), multi_hot(batch.tag_ids, head.out_features).to(image.device))

    def _mirrored(self, image: Tensor) -> Tensor:
        if not self.recipe.flips:
            return image
        is_mirrored = torch.from_numpy(self._draw.random(len(image)) < 0.5)
        return torch.where(is_mirrored[:, None, None, None], image.flip(3), image)

    def _thinned(self, text: str) -> str:
        share = self.recipe.word_dropout
        if not share:
            return text
        words = text.split()
        kept = [word for word, draw in zip(words, self._draw.random(len(words)), strict=True) if draw >= share]
        return " ".join(kept or words[:1])

    @contextmanager
    def _arithmetic(self) -> Iterator[None]:
        with torch.autocast(self.model.device.type, torch.bfloat16, enabled=self._is_bfloat16):
            yield


def _optimizer(model: TaggedClip, recipe: Recipe) -> torch.optim.Optimizer:
    decay = {"weight_decay": recipe.weight_decay, "beta2": recipe.beta2}
    return adamw(model.parameters(), learning_rate=recipe.learning_rate, **decay, eps=1e-6)


def _is_bfloat16(precision: str, device: torch.device) -> bool:
    if precision != "auto":
        return precision == "bfloat16"
    return device.type == "cuda" or has_bfloat16(device.type)
