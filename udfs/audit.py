"""The audit of captions: sampled rows in, metrics and the counts behind them out."""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from udfs.blind_test import BlindTest, auc_of, blind_test
from udfs.discrepancy import LENGTH_EDGES, Sample, TextEmbedder, discrepancy
from udfs.hardness import edit_distance, jaccard
from udfs.ratings import MOST
from udfs.words import one_text, words_of

KINDS: Final = ("alt_text", "long_positive", "short_positive", "long_negative", "short_negative")
"""Kinds of text that are compared with the image; tags are joined by commas."""

RATED: Final = ("alt_text", "long_positive", "long_negative")
"""Kinds of text that a judge rates, as HQ-CLIP's figure 4 has them."""

COMPARED_WITH_PROMPTS: Final = ("alt_text", "long_positive", "recap_short", "recap_long")
"""Kinds of text that a text-to-image model learns from, and that are compared with the prompts that people type."""

LENGTHS: Final = ("long", "short")
"""A positive and a negative text stand against each other in two lengths."""

_SHARE_BINS: Final = tuple(at / 20 for at in range(20))
_MAX_BINS: Final = 40

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Metric:
    """A figure, how many samples are behind it, and the bounds of its 95 % interval where one was made."""

    metric: str
    value: float
    n: int
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Tally:
    """How often something stands in the texts of one ``part``: a phrase, or a value in the bin that starts there."""

    figure: str
    place: int
    label: str
    part: str
    n: int


@dataclass(frozen=True)
class Findings:
    """What an audit found: figures, and the counts that a histogram or a table of phrases is drawn from."""

    metrics: tuple[Metric, ...] = ()
    tallies: tuple[Tally, ...] = ()

    def __add__(self, other: "Findings") -> "Findings":
        return Findings((*self.metrics, *other.metrics), (*self.tallies, *other.tallies))


def digest_of(rows: Sequence[Row], *more: str) -> str:
    """Return SHA-256, in hex, over ids, answers, image policy and ``more``: other texts or images, another audit."""
    names = ("sample_id", "request_key", "image_policy", *more)
    lines = sorted("\0".join(str(row[name]) for name in names) for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def audit_texts(rows: Sequence[Row]) -> Findings:
    """Return what the texts alone tell: the blind test, and how hard the negatives are, in both lengths."""
    found = Findings((Metric("rows", float(len(rows)), len(rows)),))
    for length in LENGTHS:
        sides = {side: [one_text(row[f"{length}_{side}"]) for row in rows] for side in ("positive", "negative")}
        ids = [row["sample_id"] for row in rows]
        whole = [
            trio for trio in zip(ids, sides["positive"], sides["negative"], strict=True) if all(map(str.strip, trio))
        ]
        if whole:
            ids, positives, negatives = map(list, zip(*whole, strict=True))
            found += _blind(length, blind_test(positives, negatives, ids)) + _hardness(length, positives, negatives)
    return found


def _blind(length: str, found: BlindTest | None) -> Findings:
    if found is None:
        return Findings()
    values = {"auc": found.auc, "auc_ci95": found.half_width, "paired": found.paired}
    sides = [(place, one, part) for place, one in enumerate(found.giveaways, 1) for part in ("negative", "positive")]
    counts = tuple(
        Tally(f"giveaway_{length}", place, one.phrase, part, one.negatives if part == "negative" else one.positives)
        for place, one, part in sides
    )
    return Findings(tuple(Metric(f"blind_{name}_{length}", value, found.n) for name, value in values.items()), counts)


def _hardness(length: str, positives: Sequence[str], negatives: Sequence[str]) -> Findings:
    pairs = [(words_of(true), words_of(false)) for true, false in zip(positives, negatives, strict=True)]
    shares = [jaccard(*pair) for pair in pairs]
    sizes = [[len(words) for words in side] for side in zip(*pairs, strict=True)]
    longer = [false - true for true, false in zip(*sizes, strict=True)]
    length_auc = Metric(f"length_auc_{length}", auc_of(*sizes), len(pairs))
    return (
        _moments(f"jaccard_{length}", shares)
        + _moments(f"edit_distance_{length}", [edit_distance(*pair) for pair in pairs])
        + _moments(f"length_difference_{length}", longer)
        + Findings((length_auc,), _counted(f"jaccard_{length}", {"negative": shares}, _SHARE_BINS))
    )


def audit_similarity(scores: Sequence[Row], *, rows: int) -> Findings:
    """Return the distribution of image-text similarity for each kind of text, and how far negatives fall behind.

    ``scores`` holds one value a kind, 100 times a cosine or null, for each of those of the ``rows`` whose image could
    be read.
    """
    values = {kind: _finite(score[kind] for score in scores) for kind in KINDS}
    coverage = Metric("similarity_coverage", len(scores) / rows if rows else 0.0, len(scores))
    found = Findings(
        (coverage,), _counted("similarity", values, _round_bins([v for own in values.values() for v in own]))
    )
    for kind, own in values.items():
        found += _moments(f"similarity_{kind}", own)
    for length in LENGTHS:
        found += _gap(length, [(score[f"{length}_positive"], score[f"{length}_negative"]) for score in scores])
    return found


def audit_ratings(ratings: Sequence[Row], *, rows: int) -> Findings:
    """Return the distribution of a judge's ratings, 0 to 10, for each kind of text.

    ``ratings`` holds one value a kind, or null where the judge's answer could not be used, for each sample asked about;
    the coverage is the share of all texts of the ``rows`` that have one.
    """
    values = {kind: _finite(rating[kind] for rating in ratings) for kind in RATED}
    known = sum(map(len, values.values()))
    found = Findings((Metric("rating_coverage", known / (rows * len(RATED)) if rows else 0.0, known),))
    for kind, own in values.items():
        found += _moments(f"rating_{kind}", own)
    return found + Findings((), _counted("rating", values, range(MOST + 1)))


def audit_prompts(rows: Sequence[Row], prompts: Sequence[str], embedder: TextEmbedder) -> Findings:
    """Return how far each kind of text is from ``prompts``, which people have typed (RECAP, section 1).

    A kind that fewer than two of the ``rows`` have has no figures.
    """
    found = Findings((Metric("user_prompts", float(len(prompts)), len(prompts)),))
    theirs = Sample.of(prompts, embedder)
    lengths = {"prompts": theirs.lengths}
    for kind in COMPARED_WITH_PROMPTS:
        texts = [row[kind] for row in rows if row[kind]]
        if len(texts) < 2:
            continue
        ours = Sample.of(texts, embedder)
        lengths[kind] = ours.lengths
        figures = asdict(discrepancy(ours, theirs))
        found += Findings(tuple(Metric(f"{name}_{kind}", value, len(texts)) for name, value in figures.items()))
    return found + Findings((), _counted("words", lengths, LENGTH_EDGES))


def _gap(length: str, pairs: Sequence[tuple[float | None, float | None]]) -> Findings:
    gaps = _finite(None if true is None or false is None else true - false for true, false in pairs)
    if not gaps:
        return Findings()
    above = Metric(
        f"similarity_above_{length}", sum((gap > 0) + 0.5 * (gap == 0) for gap in gaps) / len(gaps), len(gaps)
    )
    return _moments(f"similarity_gap_{length}", gaps) + Findings((above,))


def _finite(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None and math.isfinite(value)]


def _moments(name: str, values: Sequence[float]) -> Findings:
    if not values:
        return Findings()
    moments = {"mean": float(np.mean(values)), "std": float(np.std(values))}
    return Findings(tuple(Metric(f"{name}_{moment}", value, len(values)) for moment, value in moments.items()))


def _counted(figure: str, values: Mapping[str, Sequence[float]], starts: Sequence[float]) -> tuple[Tally, ...]:
    """Return the values of each part by bin; what lies outside counts in the first or the last."""
    places = {part: np.searchsorted(starts, own, "right").clip(1, None) for part, own in values.items()}
    counts = {part: np.bincount(own, minlength=len(starts) + 1) for part, own in places.items() if len(own)}
    bins = [(place, f"{start:g}", part) for place, start in enumerate(starts, 1) for part in counts]
    return tuple(Tally(figure, place, label, part, int(counts[part][place])) for place, label, part in bins)


def _round_bins(values: Sequence[float]) -> list[float]:
    """Return where bins start: at most 40 of 0.5, 1, 2, 5 or 10 that hold all values."""
    if not values:
        return []
    low, high = min(values), max(values)
    step = next((step for step in (0.5, 1, 2, 5) if (high - low) / step < _MAX_BINS - 1), 10)
    first = math.floor(low / step)
    return [step * at for at in range(first, math.floor(high / step) + 1)]
