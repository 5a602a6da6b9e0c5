"""Winoground: two images and two captions with the same words; who belongs to whom (Thrush et al. 2022, section 3)."""

from typing import NamedTuple

from torch import Tensor


class Scores(NamedTuple):
    """Whether each example was got right, bool (examples,): in its texts, in its images, in both.

    By chance a quarter of the texts, a quarter of the images and a sixth of the groups are.
    """

    text: Tensor
    image: Tensor
    group: Tensor


def winoground_scores(images: Tensor, texts: Tensor) -> Scores:
    """Return what is right of features (examples, 2, width), of unit length; image 0 belongs to text 0, and 1 to 1.

    A tie is not right, as the paper defines the scores: a model that says the same of everything gets nothing.

    >>> import torch
    >>> pair = torch.eye(2)[None]
    >>> [score.tolist() for score in winoground_scores(pair, pair)]
    [[True], [True], [True]]
    """
    if images.shape != texts.shape or images.ndim != 3 or images.shape[1] != 2:
        shapes = f"{tuple(images.shape)} and {tuple(texts.shape)}"
        raise ValueError(f"images and texts have shapes {shapes}: expected (examples, 2, width) of both")
    nearness = (images[:, :, None] * texts[:, None]).sum(dim=-1)
    own = nearness.diagonal(dim1=1, dim2=2)
    # Of image 0 and text 1, and the other way round.
    first, second = nearness[:, 0, 1], nearness[:, 1, 0]
    text = (own[:, 0] > first) & (own[:, 1] > second)
    image = (own[:, 0] > second) & (own[:, 1] > first)
    return Scores(text, image, text & image)
