"""Ranks among scores: is what a query should find among the first k, where what ties is a matter of luck?"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

_CHUNK = 512


def found_within(scores: Tensor, own: Tensor, ks: Sequence[int]) -> Tensor:
    """Return float64 (len(ks), queries): how likely at least one of a query's own is among its best k.

    ``scores`` is (queries, candidates), and the bool ``own``, of the same shape, marks what each query should find: one
    candidate or several. Where others tie with the best of its own, any order among them is as likely: of one that ties
    with three others for the first place, a quarter counts at k = 1. Not a number ranks last.

    >>> found_within(torch.tensor([[0.9, 0.1, 0.5]]), torch.tensor([[False, True, True]]), (1, 2)).tolist()
    [[0.0], [1.0]]
    """
    values = scores.nan_to_num(nan=float("-inf"))
    best = values.masked_fill(~own, float("-inf")).amax(dim=1, keepdim=True)
    level = values == best
    ahead = (values > best).sum(dim=1)
    tied, own_tied = level.sum(dim=1), (level & own).sum(dim=1)
    return torch.stack([1 - _missed(ahead, tied, own_tied, k) for k in ks])


def in_chunks(queries: Tensor, found: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return ``found`` of some ``queries`` and of their places at a time, side by side: no matrix of all is made."""
    places = torch.split(torch.arange(len(queries)), _CHUNK)
    return torch.cat([found(queries[at], at) for at in places], dim=1)


def _missed(ahead: Tensor, tied: Tensor, own: Tensor, k: int) -> Tensor:
    """Return how likely none of ``own`` of the ``tied`` is among the places that those ``ahead`` leave of ``k``."""
    missed = torch.ones(len(ahead), dtype=torch.float64)
    for place in range(k):
        is_filled = (ahead + place < k) & (place < tied)
        others = ((tied - own - place).clamp(min=0) / (tied - place).clamp(min=1)).double()
        missed *= torch.where(is_filled, others, torch.ones_like(others))
    return missed
