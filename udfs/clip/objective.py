"""What a batch is learnt by: the losses of a recipe, each by its name, and their weighted sum."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lakehouse import peers
from lakehouse.losses import contrastive, hard_negative_identification, short_tag_classification, sigmoid
from lakehouse.stream.tag_tensors import multi_hot
from udfs.clip.recipe import Recipe


@dataclass(frozen=True)
class Read:
    """A batch as the losses need it: ``places`` are those of each text, then of each negative, among the ``ids``."""

    images: Tensor
    ids: Tensor
    places: Tensor
    has_negative: Tensor
    tag_ids: Sequence[npt.NDArray[np.int32]]


@dataclass(frozen=True)
class Seen:
    """What the towers make of it.

    ``learnt`` are the features of images, of distinct texts, and the logits of tags; ``bias`` is SigLIP's.
    """

    learnt: list[Tensor]
    scale: Tensor
    bias: Tensor | None = None

    @property
    def nothing(self) -> Tensor:
        """Zero, with the gradients of what is no feature: all processes must have one of each weight."""
        return 0 * (self.scale if self.bias is None else self.scale + self.bias)


def losses_of(seen: Seen, read: Read, recipe: Recipe) -> dict[str, Tensor]:
    """Return each loss by name, and the weighted sum as ``loss``: their means over processes are the whole batch's."""
    image, distinct, *tags = seen.learnt
    text, negative = torch.tensor_split(distinct[read.places.to(image.device)], [len(image)])
    has_negative = read.has_negative.to(image.device)
    pairs = _pairs(seen, image, text, negative, recipe)
    hni = hard_negative_identification(
        image[has_negative],
        text[has_negative],
        negative,
        seen.scale,
        rows=peers.mean(has_negative.sum().float()),
    )
    stc = _tag_loss(tags[0], read) if tags and recipe.stc_weight else image.new_zeros(())
    weighted = recipe.hni_weight * hni + recipe.stc_weight * stc
    (loss,) = pairs.values()
    return {"loss": loss + weighted, **pairs, "hni": hni, "stc": stc}


def _pairs(seen: Seen, image: Tensor, text: Tensor, negative: Tensor, recipe: Recipe) -> dict[str, Tensor]:
    """Return the loss over all pairs of the batch: the sigmoid of an architecture with a bias, else the softmax."""
    first = peers.rank() * len(image)
    all_text = peers.gather(text)
    all_negative = peers.gather(negative) if recipe.neg_columns else None
    if seen.bias is not None:
        shared = {"all_text": all_text, "all_negative": all_negative}
        return {"sigmoid": sigmoid(image, text, seen.scale, seen.bias, first=first, **shared)}
    loss = contrastive(
        image,
        text,
        seen.scale,
        all_image=peers.gather(image),
        all_text=all_text,
        all_negative=all_negative,
        first=first,
        smoothing=recipe.smoothing,
    )
    return {"contrastive": loss}


def _tag_loss(logits: Tensor, read: Read) -> Tensor:
    wanted = multi_hot(read.tag_ids, logits.shape[1]).to(logits.device)
    return short_tag_classification(logits, wanted, rows=peers.mean((wanted.sum(dim=1) > 0).sum().float()))
