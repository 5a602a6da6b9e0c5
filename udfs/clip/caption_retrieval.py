"""Retrieval where an image has several captions, as in COCO and Flickr30k: hits of every image and every caption."""

from collections.abc import Sequence

import torch
from torch import Tensor

from udfs.clip.ranking import found_within, in_chunks


def image_to_text_outcomes(image: Tensor, text: Tensor, owner: Sequence[int], ks: Sequence[int]) -> Tensor:
    """Return float64 (len(ks), images): whether any of an image's captions is among the k nearest of all captions.

    Features are (images, width) and (captions, width), of unit length; caption i belongs to image ``owner[i]``, and
    every image needs one at least.
    """
    owners = torch.as_tensor(owner)
    without = set(range(len(image))) - set(owners.tolist())
    if without:
        raise ValueError(f"{len(without)} of {len(image)} images have no caption: expected one at least")
    return in_chunks(image, lambda some, at: found_within(some @ text.T, owners[None] == at[:, None], ks))


def text_to_image_outcomes(image: Tensor, text: Tensor, owner: Sequence[int], ks: Sequence[int]) -> Tensor:
    """Return float64 (len(ks), captions): whether a caption's image is among the k nearest of all images."""
    owners, places = torch.as_tensor(owner), torch.arange(len(image))
    return in_chunks(text, lambda some, at: found_within(some @ image.T, places[None] == owners[at][:, None], ks))
