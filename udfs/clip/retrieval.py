"""Retrieval between images and texts: features of unit length, recall at k, nearest neighbours."""

from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedTokenizerFast

from udfs.clip.model import TaggedClip
from udfs.clip.ranking import found_within
from udfs.clip.tokenizer import token_ids


@torch.inference_mode()
def embed_images(model: TaggedClip, batches: Iterable[Tensor]) -> Tensor:
    """Return float32 (images, width) of unit length, on the CPU; a batch is uint8 RGB (rows, 3, side, side)."""
    features = [F.normalize(model.image_features(image).float(), dim=-1).cpu() for image in batches]
    return torch.cat(features) if features else torch.empty(0, model.feature_width)


@torch.inference_mode()
def embed_texts(
    model: TaggedClip, tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], *, batch_size: int = 256
) -> Tensor:
    """Return float32 (texts, width) of unit length, on the CPU. Equal texts have equal features.

    Each distinct text is embedded once: two computations of one text in batches of other shapes differ in the last
    bit, and ties between equal texts would become wins by chance.
    """
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    distinct = list(places)
    chunks = [distinct[at : at + batch_size] for at in range(0, len(distinct), batch_size)]
    features = [F.normalize(model.text_features(token_ids(tokenizer, chunk)).float(), dim=-1).cpu() for chunk in chunks]
    if not features:
        return torch.empty(0, model.feature_width)
    return torch.cat(features)[[places[text] for text in texts]]


def recall_at(similarity: Tensor, ks: Sequence[int] = (1, 5, 10)) -> dict[str, float]:
    """Return the share of queries that find their own pair among the best k, as ``pair_outcomes`` has it.

    >>> recall_at(torch.tensor([[0.9, 0.1], [0.8, 0.2]]), ks=(1,))
    {'text_to_image_r1': 0.5, 'image_to_text_r1': 1.0}
    """
    return {name: hits.mean().item() for name, hits in pair_outcomes(similarity, ks).items()}


def pair_outcomes(similarity: Tensor, ks: Sequence[int] = (1, 5, 10)) -> dict[str, Tensor]:
    """Return, by metric, float64 (pairs,): how likely each query finds its own pair among its best k, both ways.

    ``similarity`` is (texts, images), and text i belongs to image i. What ties is as in ``found_within``: of a pair
    that ties with three others for the first place, a quarter counts at k = 1.
    """
    if similarity.ndim != 2 or similarity.shape[0] != similarity.shape[1] or not len(similarity):
        raise ValueError(f"similarity has shape {tuple(similarity.shape)}: expected texts by images, as many of both")
    own = torch.eye(len(similarity), dtype=torch.bool)
    directions = {"text_to_image": similarity, "image_to_text": similarity.T}
    return {
        f"{name}_r{k}": hits
        for name, scores in directions.items()
        for k, hits in zip(ks, found_within(scores, own, ks), strict=True)
    }


def recall_ceiling(texts: Sequence[str], k: int) -> float:
    """Return the text-to-image recall at ``k`` to expect of a perfect model, which cannot tell equal texts apart.

    >>> recall_ceiling(["icon", "icon", "icon", "icon", "a red kite"], 2)
    0.6
    """
    shared = Counter(texts)
    return sum(min(1.0, k / shared[text]) for text in texts) / len(texts)


def nearest(similarity: Tensor, k: int) -> Tensor:
    """Return int64 (rows, k): the columns that score highest in each row, best first; fewer if there are fewer."""
    return similarity.topk(min(k, similarity.shape[1]), dim=1).indices
