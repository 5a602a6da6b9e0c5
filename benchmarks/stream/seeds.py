"""Figures over the same rows and several seeds, and differences between two of them, paired by row and by seed.

Two things could have come out otherwise: which rows were held out, and which seed began the training. Each has an
interval of its own, as a few seeds are too few to add the two up.
"""

import math
from collections.abc import Hashable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from udfs.clip.intervals import difference, interval

Floats = npt.NDArray[np.float64]

_T: Final = (math.inf, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""Student's t of a 95 % interval, by seeds less one."""


def summed_up(outcomes: Floats, *, images: Sequence[Hashable]) -> dict[str, Any]:
    """Return the mean of ``outcomes``, (seeds, rows) from 0 to 1, its 95 % interval over rows, and each seed's mean."""
    found = interval(outcomes.mean(axis=0), images=images)
    return _rounded(found._asdict()) | {"by_seed": _rounded_list(outcomes.mean(axis=1))}


def compared(first: Floats, second: Floats, *, images: Sequence[Hashable]) -> dict[str, Any]:
    """Return what ``first`` gains over ``second``, with 95 % intervals over rows and over seeds.

    ``is_clear`` says that neither interval holds 0. Of many differences that are none, some look clear by chance.
    """
    rows = difference(first.mean(axis=0), second.mean(axis=0), images=images)
    by_seed = first.mean(axis=1) - second.mean(axis=1)
    half = half_width(by_seed)
    is_clear = (rows.low > 0 or rows.high < 0) and abs(rows.value) > half
    return {
        **_rounded(rows._asdict()),
        "by_seed": _rounded_list(by_seed),
        "half_width_over_seeds": None if math.isinf(half) else round(half, 4),
        "is_clear": bool(is_clear),
    }


def half_width(values: Floats) -> float:
    """Return half the 95 % interval of the mean of a few ``values``, by Student's t; without end for one alone.

    >>> round(half_width(np.array([0.1, 0.2, 0.3])), 4)
    0.2484
    """
    if len(values) < 2:
        return math.inf
    return _T[min(len(values), len(_T)) - 1] * float(values.std(ddof=1)) / math.sqrt(len(values))


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in figures.items()}


def _rounded_list(values: Floats) -> list[float]:
    return [round(float(value), 4) for value in values]
