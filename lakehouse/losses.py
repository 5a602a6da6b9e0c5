"""Losses as functions of features: CLIP's, SigLIP's, HQ-CLIP's two, NegCLIP's columns, TripletCLIP's second images.

All features are float tensors (rows, width) of any length; the functions scale them to unit length. ``logit_scale``
is the factor on the cosine (CLIP's ``exp`` of its learned parameter, 1 / temperature), not its logarithm. Every loss
is a mean in nats, a tensor without dimensions.

Several processes that train together gather features with ``lakehouse.peers.gather`` and hand them in as ``all_...``,
with the place of their own ``first`` row among them; sums over the rows that have something are divided by
``rows``, the mean of their number over the processes. The mean of the processes' losses is then the loss of the whole.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def contrastive(
    image: Tensor,
    text: Tensor,
    logit_scale: Tensor,
    *,
    all_image: Tensor | None = None,
    all_text: Tensor | None = None,
    all_negative: Tensor | None = None,
    first: int = 0,
    smoothing: float = 0.0,
) -> Tensor:
    """Return CLIP's symmetric InfoNCE: each image must find its text among all texts, and each text its image.

    Args:
        image, text: features of the same rows in the same order
        logit_scale: factor on the cosine
        all_image, all_text: features of every process, gathered with gradients and in the order of their ranks; None
            where the rows at hand are all there are
        all_negative: features of false descriptions, any number, of every process: further texts that no image must
            find (NegCLIP; Yuksekgonul et al. 2023, section 4). None or no row leaves CLIP's own loss
        first: place of the first row at hand among the gathered ones
        smoothing: label smoothing, 0 to 1
    """
    image, text = _unit(image), _unit(text)
    every_image = image if all_image is None else _unit(all_image)
    every_text = text if all_text is None else _unit(all_text)
    columns = _columns(every_text, all_negative)
    target = torch.arange(first, first + len(image), device=image.device)
    to_text = F.cross_entropy(logit_scale * image @ columns.T, target, label_smoothing=smoothing)
    to_image = F.cross_entropy(logit_scale * text @ every_image.T, target, label_smoothing=smoothing)
    return (to_text + to_image) / 2


def sigmoid(
    image: Tensor,
    text: Tensor,
    logit_scale: Tensor,
    logit_bias: Tensor,
    *,
    all_text: Tensor | None = None,
    all_negative: Tensor | None = None,
    first: int = 0,
) -> Tensor:
    """Return SigLIP's loss: of each image with each text, whether they are a pair (Zhai et al. 2023, section 3.2).

    Summed over the texts and averaged over the images, as in the paper's algorithm 1. No row needs to know the others'
    sum, so the images of other processes are not asked for: each pair is judged where its image is. The paper hands
    texts around in a ring for the sake of memory; gathered at once they give the same.

    Args:
        image, text: features of the same rows in the same order
        logit_scale, logit_bias: factor on the cosine, and what is added to it
        all_text: features of every process's texts, gathered with gradients and in the order of their ranks; None
            where the rows at hand are all there are
        all_negative: features of false descriptions, any number, of every process: further texts, of which none
            belongs to an image. None or no row leaves SigLIP's own loss
        first: place of the first row at hand among the gathered ones
    """
    texts = _columns(_unit(text if all_text is None else all_text), all_negative)
    logits = logit_scale * _unit(image) @ texts.T + logit_bias
    rows = torch.arange(len(image), device=image.device)
    signs = -torch.ones_like(logits)
    signs[rows, first + rows] = 1
    return -F.logsigmoid(signs * logits).sum(dim=-1).mean()


def triplet(
    image: Tensor,
    text: Tensor,
    negative_image: Tensor,
    negative: Tensor,
    logit_scale: Tensor,
    *,
    smoothing: float = 0.0,
) -> Tensor:
    """Return TripletCLIP's loss: NegCLIP's of the pairs, and of the pairs of false texts with images that they fit.

    An edit is such a pair of pairs: the text before it is false of the image after it, and the other way round
    (Patel et al. 2024, section 3). Features of several processes are gathered before: all rows go in on each.

    Args:
        image, text, negative_image, negative: features of the same rows in the same order
        logit_scale: factor on the cosine
        smoothing: label smoothing, 0 to 1
    """
    true = contrastive(image, text, logit_scale, all_negative=negative, smoothing=smoothing)
    false = contrastive(negative_image, negative, logit_scale, all_negative=text, smoothing=smoothing)
    return true + false


def hard_negative_identification(
    image: Tensor,
    text: Tensor,
    negative: Tensor,
    logit_scale: Tensor,
    mask: Tensor | None = None,
    *,
    rows: Tensor | None = None,
) -> Tensor:
    """Return HQ-CLIP's HNI: the image must tell its own text from a false description of it.

    A row's loss is -log(e^p / (e^p + e^n)) with p and n the scaled cosines of the image with its text and with its
    negative: log 2 where it cannot tell them apart. The paper draws the loss (figure 2b) without writing it out; this
    form is inferred from the drawing. NegCLIP's alternative, extra columns in the softmax over the batch, is another.

    Args:
        image, text, negative: features of the same rows in the same order
        logit_scale: factor on the cosine
        mask: bool (rows,), True where the row has a negative; None means that every row has one. Rows without one
            enter neither the mean nor the gradient, whatever stands in them; without any row the loss is zero
        rows: rows with a negative, as a mean over the processes; None where the rows at hand are all there are
    """
    if mask is not None:
        image, text, negative = image[mask], text[mask], negative[mask]
    if not len(image):
        return (image.sum() + text.sum() + negative.sum()) * 0
    image = _unit(image)
    true = (image * _unit(text)).sum(dim=-1)
    false = (image * _unit(negative)).sum(dim=-1)
    return _mean(F.softplus(logit_scale * (false - true)), rows)


def short_tag_classification(logits: Tensor, tag_ids: Tensor, *, rows: Tensor | None = None) -> Tensor:
    """Return HQ-CLIP's STC: binary cross-entropy over the vocabulary, summed over tags and averaged over rows.

    Summed, since a mean over thousands of tags that are nearly all absent hides the few that are there. Negative tags
    do not enter (figure 2b). A row without a single tag says nothing of what is absent: it is left out.

    Args:
        logits: (rows, tags), of a linear head on the image features
        tag_ids: multi-hot (rows, tags), 1 at the positive tags of the row (``lakehouse.stream.tag_tensors``)
        rows: rows with a tag, as a mean over the processes; None where the rows at hand are all there are
    """
    has_tags = tag_ids.sum(dim=-1) > 0
    if not has_tags.any():
        return logits.sum() * 0
    wanted = tag_ids[has_tags].to(logits.dtype)
    losses = F.binary_cross_entropy_with_logits(logits[has_tags], wanted, reduction="none").sum(dim=-1)
    return _mean(losses, rows)


def _columns(texts: Tensor, negative: Tensor | None) -> Tensor:
    return texts if negative is None else torch.cat((texts, _unit(negative)))


def _mean(losses: Tensor, rows: Tensor | None) -> Tensor:
    return losses.mean() if rows is None else losses.sum() / rows


def _unit(features: Tensor) -> Tensor:
    return F.normalize(features, dim=-1)
