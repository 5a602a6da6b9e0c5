"""Zero-shot classification: classes are texts, and an image belongs to the one that it is nearest to."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from udfs.clip.ranking import found_within, in_chunks


def class_features(
    embed: Callable[[Sequence[str]], Tensor], classes: Sequence[str], templates: Sequence[str]
) -> Tensor:
    """Return (classes, width) of unit length: the mean of a class's features over ``templates``.

    Each enters the mean at unit length, as ``embed`` makes it (Radford et al. 2021, section 3.1.4).
    The class's name stands where a template has ``{}``, or ``{c}`` as in CLIP_benchmark.
    """
    texts = [filled(template, name) for name in classes for template in templates]
    features = embed(texts).view(len(classes), len(templates), -1)
    return F.normalize(features.mean(dim=1), dim=-1)


def filled(template: str, name: str) -> str:
    """Return ``template`` with ``name`` in it.

    >>> filled("a photo of a {}, a type of pet.", "pug"), filled("a {c}.", "pug")
    ('a photo of a pug, a type of pet.', 'a pug.')
    """
    return template.replace("{c}", "{}").replace("{}", name)


def class_outcomes(image: Tensor, classes: Tensor, labels: Sequence[int], ks: Sequence[int]) -> Tensor:
    """Return float64 (len(ks), images): whether the class of an image is among the k nearest to it.

    Features are (images, width) and (classes, width), of unit length; ``labels`` are places among the classes.
    """
    wanted, places = torch.as_tensor(labels), torch.arange(len(classes))
    return in_chunks(image, lambda some, at: found_within(some @ classes.T, places[None] == wanted[at][:, None], ks))
