"""How sure a figure is: 95 % intervals of shares and of differences, where several outcomes may come of one image."""

import math
from collections.abc import Hashable, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

_Z: Final = 1.959964
_DRAWS: Final = 2000

Floats = npt.NDArray[np.float64]


class Interval(NamedTuple):
    """A figure and the bounds of its 95 % interval."""

    value: float
    low: float
    high: float


def interval(outcomes: npt.ArrayLike, *, images: Sequence[Hashable] | None = None) -> Interval:
    """Return the mean of ``outcomes``, each from 0 to 1, as a share with Wilson's interval.

    ``images`` says of which image each outcome is; None means that each is of one of its own. Wilson's formula is fed
    with as many independent outcomes as vary like these do (Kott and Carr 1997): captions of one image fall together.
    It is taken instead of the bootstrap because it does not end at 0 or 1: 20 hits of 20 give 0.84 to 1, not 1 to 1.
    Other images than these are allowed for, another gallery than theirs is not.

    >>> [round(float(bound), 3) for bound in interval([1, 1, 1, 0])]
    [0.75, 0.301, 0.954]
    """
    sums, counts = _by_image(_shares(outcomes), images)
    total = counts.sum()
    value = sums.sum() / total
    return _wilson(value, _variance(sums, counts), most=total, unsure=len(counts))


def class_mean(
    outcomes: npt.ArrayLike, classes: Sequence[Hashable], *, images: Sequence[Hashable] | None = None
) -> Interval:
    """Return the mean over ``classes`` of each one's share of ``outcomes``, with an interval made as ``interval`` does.

    Which classes there are is taken as given: other images of the same classes are allowed for. It is never surer than
    one outcome an image could make it: rows that repeat an image say nothing new.
    """
    values = _shares(outcomes)
    _check_length("classes", classes, values)
    places: dict[Hashable, list[int]] = {}
    for place, name in enumerate(classes):
        places.setdefault(name, []).append(place)
    own = [_by_image(values[at], None if images is None else [images[i] for i in at]) for at in places.values()]
    value = math.fsum(sums.sum() / counts.sum() for sums, counts in own) / len(own)
    # Of a class with one image nothing is known but that its share is between 0 and 1.
    spreads = (_variance(sums, counts) if len(counts) > 1 else value * (1 - value) for sums, counts in own)
    shown = sum(len(counts) for _, counts in own)
    return _wilson(value, math.fsum(spreads) / len(own) ** 2, most=shown, unsure=shown)


def difference(
    first: npt.ArrayLike, second: npt.ArrayLike, *, images: Sequence[Hashable] | None = None, seed: int = 0
) -> Interval:
    """Return the mean of ``first`` less that of ``second``, outcomes on the same queries, with a bootstrap's interval.

    Images are drawn anew, each with all of its queries, ``seed`` says how. Two that never differ give 0, 0, 0.

    >>> difference([1, 1, 1], [1, 1, 1])
    Interval(value=0.0, low=0.0, high=0.0)
    """
    one, other = _finite(first), _finite(second)
    _check_length("second", other, one)
    sums, counts = _by_image(one - other, images)
    draws = np.random.default_rng(seed)
    # One draw after the other: all at once would be thousands of times the sample in memory.
    drawn = (draws.integers(0, len(counts), len(counts)) for _ in range(_DRAWS))
    low, high = np.percentile([sums[at].sum() / counts[at].sum() for at in drawn], [2.5, 97.5])
    return Interval(float(sums.sum() / counts.sum()), float(low), float(high))


def _by_image(values: Floats, images: Sequence[Hashable] | None) -> tuple[Floats, Floats]:
    """Return the sum and the number of each image's values, in an order that does not depend on theirs."""
    if images is None:
        return np.sort(values), np.ones(len(values))
    _check_length("images", images, values)
    places = {name: place for place, name in enumerate(dict.fromkeys(images))}
    at = np.array([places[name] for name in images])
    order = np.lexsort((values, at))
    sums, counts = np.bincount(at[order], values[order]), np.bincount(at).astype(np.float64)
    order = np.lexsort((sums, counts))
    return np.asarray(sums[order], np.float64), counts[order]


def _variance(sums: Floats, counts: Floats) -> float:
    """Return the variance of the mean over all, of images drawn with all that is theirs; 0 of a single image.

    Without the correction by n / (n - 1): of yes and no, one an image, it is then Wilson's own.
    """
    total = counts.sum()
    rests = sums - sums.sum() / total * counts
    return float((rests**2).sum() / total**2)


def _wilson(value: float, variance: float, *, most: float, unsure: float) -> Interval:
    """Return Wilson's interval for as many independent outcomes as have ``variance``, ``most`` of them at the most.

    Where nothing varies, ``unsure`` is how many there are taken to be.
    """
    n = min(most, value * (1 - value) / variance) if variance > 1e-15 else unsure
    middle = (value + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z * math.sqrt(max(0.0, value * (1 - value) / n) + _Z**2 / (4 * n**2)) / (1 + _Z**2 / n)
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return Interval(float(value), float(min(low, value)), float(max(high, value)))


def _shares(outcomes: npt.ArrayLike) -> Floats:
    values = _finite(outcomes)
    if values.min() < 0 or values.max() > 1:
        raise ValueError(f"outcomes go from {values.min():g} to {values.max():g}: expected 0 to 1")
    return values


def _finite(outcomes: npt.ArrayLike) -> Floats:
    values = np.asarray(outcomes, np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"outcomes have shape {values.shape}: expected one finite number a query, at least one")
    return values


def _check_length(name: str, given: Sequence[Hashable] | Floats, values: Floats) -> None:
    if len(given) != len(values):
        raise ValueError(f"{len(given)} {name} for {len(values)} outcomes: expected as many")
