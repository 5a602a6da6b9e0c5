"""Hard negatives: does an image fit its true text better than a false one that is close to it?

A tie counts half, as in ``recall_at`` and in the blind test: a model that says the same of everything does as well as
chance, 0.5. SugarCrepe's own script counts it as a failure; the two differ only where both texts have one feature.
"""

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

_CHUNK = 1024


def hard_negative_outcomes(image: Tensor, true: Tensor, false: Tensor) -> Tensor:
    """Return float64 (rows,): 1 where the image is nearer to its true text than to its false one, 0.5 for a tie, or 0.

    Features are (rows, width), of unit length. What is no number counts as a failure.

    >>> image = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    >>> hard_negative_outcomes(image, torch.tensor([[1.0, 0.0], [0.6, 0.8]]), torch.tensor([[0.6, 0.8]] * 2)).tolist()
    [1.0, 0.5]
    """
    if not image.shape == true.shape == false.shape:
        shapes = ", ".join(str(tuple(one.shape)) for one in (image, true, false))
        raise ValueError(f"image, true and false have shapes {shapes}: expected the same")
    return _compared((image * true).sum(dim=-1), (image * false).sum(dim=-1))


def hard_negative_accuracy(image: Tensor, true: Tensor, false: Tensor) -> float:
    """Return the share of rows whose image is nearer to its true text, ties counted half; at least one row."""
    return hard_negative_outcomes(image, true, false).mean().item()


def other_image_outcomes(image: Tensor, true: Tensor, false: Tensor, images: Sequence[Hashable]) -> Tensor:
    """Return float64 (rows,): the share of the *other* images of the suite that are nearer to a row's true text.

    This is the model's blind control: what it gets right here comes from the texts alone. ``images`` names the image of
    each row; every image speaks once, and not on its own rows. With one image in all there is no other: not a number.
    """
    named = {name: row for row, name in enumerate(images)}
    owners = {name: place for place, name in enumerate(named)}
    own = torch.tensor([owners[name] for name in images])
    others = image[list(named.values())]
    found = [
        _share_of_others(others, true[at : at + _CHUNK], false[at : at + _CHUNK], own[at : at + _CHUNK])
        for at in range(0, len(true), _CHUNK)
    ]
    return torch.cat(found) if found else torch.empty(0, dtype=torch.float64)


def _share_of_others(others: Tensor, true: Tensor, false: Tensor, own: Tensor) -> Tensor:
    wins = _compared(true @ others.T, false @ others.T)
    wins[torch.arange(len(own)), own] = 0
    return wins.sum(dim=1) / (len(others) - 1) if len(others) > 1 else torch.full((len(own),), torch.nan).double()


def _compared(true: Tensor, false: Tensor) -> Tensor:
    """Return 1 where ``true`` is above ``false``, 0.5 where they are level, else 0."""
    return (true > false).double() + (true == false).double() / 2
