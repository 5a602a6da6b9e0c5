"""One step of training: three losses of HQ-CLIP on a batch, and the update of the weights."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from transformers import PreTrainedTokenizerFast

from lakehouse import peers
from lakehouse.losses import contrastive, hard_negative_identification, multi_hot, short_tag_classification
from lakehouse.stream.hashing import Hashes, fractions, salted, sample_keys
from udfs.clip.model import TaggedClip
from udfs.clip.tokenizer import token_ids
from udfs.devices import has_bfloat16
from udfs.optimizer import adamw, schedule

_FLIP, _WORDS = 21, 22

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

    @property
    def sample_id(self) -> Sequence[str]:
        """Keys of the rows: what is drawn at random for a row is drawn by its key."""


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
    micro_batch: int = 0
    """Most rows of a process that the towers see at a time, 0 for all: less memory, for one forward pass more."""
    seed: int = 0


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
        if model.tag_head is not None:
            # What is not learnt from must not be waited for.
            model.tag_head.requires_grad_(recipe.stc_weight > 0)
        self._together = DistributedDataParallel(model, broadcast_buffers=False) if peers.world_size() > 1 else model

    def learn(self, batch: TrainBatch) -> dict[str, float]:
        """Do one step; return its losses by name (nats), the total as ``loss``, learning rate and logit scale.

        Losses are those of all processes' rows.
        """
        rate = self.recipe.learning_rate * schedule(self.step, self.steps, self.recipe.warmup)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.zero_grad(set_to_none=True)
        losses = self._learn(self._read(batch))
        self._optimizer.step()
        self.step += 1
        with torch.no_grad():
            self.model.clip.logit_scale.clamp_(0, math.log(LARGEST_SCALE))
        figures = peers.mean(torch.stack([*losses.values()])).tolist()
        told = dict(zip(losses, figures, strict=True))
        return {**told, "learning_rate": rate, "logit_scale": self.model.logit_scale.item()}

    def state_dict(self) -> dict[str, Any]:
        """Return what a later run needs, beside the model's weights, to go on as if never stopped."""
        return {"step": self.step, "epoch": self.epoch, "optimizer": self._optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state``, taken after any step."""
        self.step, self.epoch = state["step"], state["epoch"]
        self._optimizer.load_state_dict(state["optimizer"])

    def _read(self, batch: TrainBatch) -> "_Read":
        """Draw what is drawn, and turn texts into tokens: one that many rows carry is embedded once."""
        keys = salted(sample_keys(pa.array(batch.sample_id, pa.string())), self.recipe.seed, self.epoch)
        negatives = batch.negative_text if self.recipe.hni_weight else [None] * len(batch.text)
        texts = [*self._thinned(batch.text, keys), *(text for text in negatives if text is not None)]
        places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        return _Read(
            images=self._mirrored(batch.image, keys),
            ids=token_ids(self.tokenizer, list(places)),
            places=torch.tensor([places[text] for text in texts]),
            has_negative=torch.tensor([text is not None for text in negatives]),
            tag_ids=batch.tag_ids,
        )

    def _learn(self, read: "_Read") -> dict[str, Tensor]:
        """Leave the gradients of the losses at the weights; return the losses."""
        parts = min(math.ceil(len(read.images) / (self.recipe.micro_batch or len(read.images))), len(read.ids))
        if parts == 1:
            losses = self._losses(self._seen(self._together, read.images, read.ids), read)
            torch.autograd.backward(losses["loss"])
            return losses
        return self._learn_in_parts(read, parts)

    def _learn_in_parts(self, read: "_Read", parts: int) -> dict[str, Tensor]:
        """Do as ``_learn`` does, with the towers' inner values of one part at a time in memory.

        The losses need the features of all rows at once. They are made without gradients, the losses say what gradient
        each feature has, and a second pass carries that to the weights (Gao et al. 2021, gradient caching).
        """
        inputs = list(zip(read.images.tensor_split(parts), read.ids.tensor_split(parts), strict=True))
        with torch.no_grad():
            seen = [self._seen(self.model, images, ids) for images, ids in inputs]
        leaves = [torch.cat(pieces).requires_grad_() for pieces in zip(*(one.learnt for one in seen), strict=True)]
        with self._alone():
            losses = self._losses(_Seen(leaves, self.model.logit_scale), read)
            torch.autograd.backward(losses["loss"])
        gradients = [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves]
        sizes = [[len(piece) for piece in pieces] for pieces in zip(*(one.learnt for one in seen), strict=True)]
        of_parts = zip(*map(torch.split, gradients, sizes), strict=True)
        for number, ((images, ids), wanted) in enumerate(zip(inputs, of_parts, strict=True), start=1):
            # The last part's backward pass is the one in which processes add up what all parts have left.
            with nullcontext() if number == parts else self._alone():
                again = self._seen(self._together, images, ids)
                carried = [(piece * gradient).sum() for piece, gradient in zip(again.learnt, wanted, strict=True)]
                torch.autograd.backward(torch.stack(carried).sum() + 0 * again.scale)
        return losses

    def _seen(self, model: nn.Module, images: Tensor, ids: Tensor) -> "_Seen":
        with torch.autocast(self.model.device.type, torch.bfloat16, enabled=self._is_bfloat16):
            image, text, tags, scale = model(images, ids)
        return _Seen([image, text, *([] if tags is None else [tags])], scale)

    def _alone(self) -> AbstractContextManager[None]:
        """Keep gradients from the other processes inside the block."""
        together = self._together
        return together.no_sync() if isinstance(together, DistributedDataParallel) else nullcontext()

    def _losses(self, seen: "_Seen", read: "_Read") -> dict[str, Tensor]:
        """Return each loss by name, and the weighted sum as ``loss``."""
        image, distinct, *tags = seen.learnt
        text, negative = torch.tensor_split(distinct[read.places.to(image.device)], [len(image)])
        has_negative = read.has_negative.to(image.device)
        losses = {
            "contrastive": contrastive(
                image,
                text,
                seen.scale,
                all_image=peers.gather(image),
                all_text=peers.gather(text),
                first=peers.rank() * len(image),
                smoothing=self.recipe.smoothing,
            ),
            "hni": hard_negative_identification(
                image[has_negative],
                text[has_negative],
                negative,
                seen.scale,
                rows=peers.mean(has_negative.sum().float()),
            ),
            "stc": self._tag_loss(tags[0], read) if tags and self.recipe.stc_weight else image.new_zeros(()),
        }
        weighted = self.recipe.hni_weight * losses["hni"] + self.recipe.stc_weight * losses["stc"]
        return {"loss": losses["contrastive"] + weighted, **losses}

    def _tag_loss(self, logits: Tensor, read: "_Read") -> Tensor:
        wanted = multi_hot(read.tag_ids, logits.shape[1]).to(logits.device)
        return short_tag_classification(logits, wanted, rows=peers.mean((wanted.sum(dim=1) > 0).sum().float()))

    def _mirrored(self, image: Tensor, keys: Hashes) -> Tensor:
        if not self.recipe.flips:
            return image
        is_mirrored = torch.from_numpy(fractions(salted(keys, _FLIP)) < 0.5)
        return torch.where(is_mirrored[:, None, None, None], image.flip(3), image)

    def _thinned(self, texts: Sequence[str], keys: Hashes) -> list[str]:
        share = self.recipe.word_dropout
        return [_thinned(text, key, share) for text, key in zip(texts, keys, strict=True)] if share else list(texts)


@dataclass(frozen=True)
class _Read:
    """A batch as the losses need it: ``places`` are those of each text, then of each negative, among the ``ids``."""

    images: Tensor
    ids: Tensor
    places: Tensor
    has_negative: Tensor
    tag_ids: Sequence[npt.NDArray[np.int32]]


@dataclass(frozen=True)
class _Seen:
    """What the towers make of it: ``learnt`` are the features of images, of distinct texts, and the logits of tags."""

    learnt: list[Tensor]
    scale: Tensor


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
