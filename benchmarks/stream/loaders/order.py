"""How well an order is shuffled, and how many rows it has."""

from collections.abc import Sequence

import numpy as np


def order_figures(numbers: Sequence[int]) -> dict[str, int]:
    """Return the figures of rows that came in this order, each by its place in the table.

    ``mixing_distance`` is how far a row moved, in rows, on average; a third of the table where the order is perfectly
    random. Blocks that move as wholes have it too, so ``neighbour_distance`` says how far apart two rows came that lie
    side by side in the table: 1 where nothing is shuffled within a block, a third of the table at best.

    >>> order_figures([2, 3, 0, 1])
    {'distinct': 4, 'mixing_distance': 2, 'neighbour_distance': 2}
    """
    order = np.asarray(numbers, np.int64)
    stored, first = np.unique(order, return_index=True)
    ranks = np.searchsorted(stored, order)  # rows that are missing move nobody
    beside = np.abs(np.diff(first))[np.diff(stored) == 1]
    return {
        "distinct": len(stored),
        "mixing_distance": round(float(np.abs(ranks - np.arange(len(order))).mean())),
        "neighbour_distance": round(float(beside.mean())) if len(beside) else 0,
    }
