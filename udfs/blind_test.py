"""The blind test: can a false text be told from a true one without the image, and by which phrases?

A classifier that reads a bag of words and pairs of words stands for the reader. Where it does better than chance, a
model that is trained on the negatives can learn these words instead of looking at the image.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from udfs.words import phrases_of

FOLDS: Final = 5
MIN_SAMPLES: Final = 40
"""With fewer, an interval would span most of 0 to 1."""

_MIN_TEXTS = 3
_MAX_PHRASES = 1 << 18
_STEPS = 100
_STEP_SIZE = 4.0  # a text's bag has length 1, so the mean logistic loss bends by 1/4 at the most
_CLEARLY = 4.5  # standard deviations: among thousands of phrases hardly one gets so far by chance

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Giveaway:
    """A phrase that stands in false texts and true ones unequally often."""

    phrase: str
    weight: float
    """Above 0 it speaks for a false text, below 0 for a true one."""
    positives: int
    """True texts that hold it."""
    negatives: int
    """False texts that hold it."""


@dataclass(frozen=True)
class BlindTest:
    """What came of a blind test; 0.5 is chance, 1 means that the image is not needed at all."""

    auc: float
    """How likely any false text looks falser than any true one."""
    half_width: float
    """Half the width of the 95 % interval of ``auc``."""
    paired: float
    """Share of samples whose false text looks falser than their own true one."""
    n: int
    giveaways: tuple[Giveaway, ...]
    """Phrases that speak the loudest first; those that chance could explain are left out."""


def blind_test(
    positives: Sequence[str], negatives: Sequence[str], samples: Sequence[str], *, giveaways: int = 20
) -> BlindTest | None:
    """Return how well the texts at the same place, one true and one false, are told apart; None for too few samples.

    Each fold, by hash of the sample's id, is judged by a classifier that has seen neither of its two texts. The same
    texts give the same result, in whatever order they come.
    """
    if len(samples) < MIN_SAMPLES:
        return None
    trial = _tried(positives, negatives, samples, sorted(range(len(samples)), key=samples.__getitem__))
    found = _giveaways(trial.bags, trial.is_false, list(trial.models.values()))
    return _judged(trial.scores, trial.folds, found[:giveaways])


def told_apart(positives: Sequence[str], negatives: Sequence[str], images: Sequence[str]) -> list[float] | None:
    """Return for each pair, in order, 1 where its false text looks falser than its true one, 0.5 for a tie, else 0.

    As ``blind_test`` does it, but several pairs may have one image: then they fall into one fold, and no judge of a
    pair has seen another one of its image. None for too few pairs.
    """
    if len(images) < MIN_SAMPLES:
        return None
    order = sorted(range(len(images)), key=lambda at: (images[at], positives[at], negatives[at]))
    true, false = _tried(positives, negatives, images, order).scores
    outcomes = np.empty(len(order))
    outcomes[order] = np.sign(false - true) / 2 + 0.5
    told: list[float] = outcomes.tolist()
    return told


def auc_of(positives: Sequence[float], negatives: Sequence[float]) -> float:
    """Return how likely one of ``negatives`` is above one of ``positives``; a tie counts half.

    >>> auc_of([1, 2], [2, 3])
    0.875
    """
    return float(_share_below(np.asarray(positives, float), np.asarray(negatives, float)).mean())


@dataclass(frozen=True)
class _Trial:
    """Pairs in some order, each judged by the model of its fold, and how false its two texts look, (2, pairs)."""

    bags: "_Bags"
    is_false: Bools
    folds: Ints
    models: dict[int, Floats]
    scores: Floats


def _tried(positives: Sequence[str], negatives: Sequence[str], samples: Sequence[str], order: Sequence[int]) -> _Trial:
    bags = _bags([positives[at] for at in order] + [negatives[at] for at in order])
    folds = np.array([_fold(samples[at]) for at in order])
    is_false = np.repeat([False, True], len(order))
    models = {fold: _trained(bags, is_false, np.tile(folds != fold, 2)) for fold in sorted(set(folds.tolist()))}
    return _Trial(bags, is_false, folds, models, _scores_by_fold(bags, models, folds))


def _fold(sample_id: str) -> int:
    return hashlib.sha256(sample_id.encode()).digest()[0] % FOLDS


@dataclass(frozen=True)
class _Bags:
    """Texts as bags of phrases: text ``rows[i]`` holds phrase ``columns[i]`` with ``values[i]``; a bag has length 1."""

    phrases: Sequence[str]
    texts: int
    rows: Ints
    columns: Ints
    values: Floats

    def scores(self, weights: Floats) -> Floats:
        return np.asarray(np.bincount(self.rows, self.values * weights[self.columns], self.texts), np.float64)

    def pull(self, errors: Floats) -> Floats:
        return np.asarray(np.bincount(self.columns, self.values * errors[self.rows], len(self.phrases)), np.float64)


def _bags(texts: Sequence[str]) -> _Bags:
    counted = Counter(phrase for text in texts for phrase in phrases_of(text))
    frequent = sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:_MAX_PHRASES]
    # A phrase of one text or two says nothing of others.
    places = {phrase: at for at, (phrase, n) in enumerate(frequent) if n >= _MIN_TEXTS}
    entries = np.array(list(_entries(texts, places)), np.int64).reshape(-1, 2)
    rows, columns = entries[:, 0], entries[:, 1]
    sizes = np.bincount(rows, minlength=len(texts))
    return _Bags(list(places), len(texts), rows, columns, 1 / np.sqrt(sizes[rows]))


def _entries(texts: Sequence[str], places: dict[str, int]) -> Iterator[tuple[int, int]]:
    for row, text in enumerate(texts):
        yield from ((row, places[phrase]) for phrase in phrases_of(text) if phrase in places)


def _trained(bags: _Bags, is_false: Bools, is_seen: Bools) -> Floats:
    """Return the weights of a logistic regression on the texts that ``is_seen``, by Nesterov's accelerated descent.

    Without an intercept: there are as many true texts as false ones. A text too many of either would weigh as much as
    the penalty, 1 / texts, that keeps rare phrases small.
    """
    share = is_seen / max(1, is_seen.sum())
    penalty = 1 / max(1, is_seen.sum())
    weights = ahead = np.zeros(len(bags.phrases))
    for step in range(_STEPS):
        errors = share * (_sigmoid(bags.scores(ahead)) - is_false)
        new = ahead - _STEP_SIZE * (bags.pull(errors) + penalty * ahead)
        weights, ahead = new, new + step / (step + 3) * (new - weights)
    return weights


def _sigmoid(values: Floats) -> Floats:
    return 0.5 * (1 + np.tanh(0.5 * values))


def _scores_by_fold(bags: _Bags, models: dict[int, Floats], folds: Ints) -> Floats:
    """Return (2, samples): how false the true and the false text of each sample look to who has not seen them."""
    scores = np.zeros(bags.texts)
    for fold, weights in models.items():
        # Rounded: the same phrases, added up in another order, have to tie.
        scores = np.where(np.tile(folds == fold, 2), bags.scores(weights).round(9), scores)
    return scores.reshape(2, -1)


def _judged(scores: Floats, folds: Ints, giveaways: Sequence[Giveaway]) -> BlindTest:
    """Compare scores within each fold alone, as each fold has a judge of its own."""
    true, false = scores
    wins = np.zeros(len(folds))
    spread = np.zeros(len(folds))
    for fold in set(folds.tolist()):
        own = folds == fold
        beaten, beats = 1 - _share_below(false[own], true[own]), _share_below(true[own], false[own])
        wins[own] = beats
        # A sample brings a text to both sides, so its two parts vary together (Obuchowski 1997, clustered ROC).
        spread[own] = beaten + beats - 2 * beats.mean()
    half_width = 1.96 * float(spread.std()) / math.sqrt(len(folds))
    paired = float((np.sign(false - true) / 2 + 0.5).mean())
    return BlindTest(float(wins.mean()), half_width, paired, len(folds), tuple(giveaways))


def _share_below(others: Floats, values: Floats) -> Floats:
    """Return, for each of ``values``, the share of ``others`` that are below it; ties count half."""
    ranked = np.sort(others)
    below, level = (np.searchsorted(ranked, values, side) for side in ("left", "right"))
    shares: Floats = (below + level) / (2 * len(ranked))
    return shares


def _giveaways(bags: _Bags, is_false: Bools, models: Sequence[Floats]) -> list[Giveaway]:
    weights = np.mean(models, axis=0).round(9)
    negatives = np.bincount(bags.columns, is_false[bags.rows], len(bags.phrases))
    positives = np.bincount(bags.columns, ~is_false[bags.rows], len(bags.phrases))
    is_clear = np.abs(negatives - positives) >= _CLEARLY * np.sqrt(negatives + positives)
    is_clear &= (negatives > positives) == (weights > 0)
    found = [
        Giveaway(bags.phrases[at], float(weights[at]), int(positives[at]), int(negatives[at]))
        for at in np.flatnonzero(is_clear).tolist()
    ]
    return sorted(found, key=lambda one: (-abs(one.weight), len(one.phrase), one.phrase))
