"""How well made images keep to their captions: the three figures of RECAP's evaluation, from what a detector found.

Detections and facts are plain tables, so that any detector serves and every figure can be computed again without one.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import pyarrow as pa

from lakehouse.errors import BadInput

DETECTIONS: Final = pa.schema({"image": pa.string(), "label": pa.string(), "confidence": pa.float64()})
"""What a detector found: one row an object, with the key of the image that it is in."""

MIN_CONFIDENCE: Final = 0.5
"""From which confidence a detection counts (Semantic Object Accuracy, section 3)."""

MIN_PREFERENCE: Final = 0.6
"""Probability that a true caption must exceed against its false one (TISE, positional alignment)."""


class Detector(Protocol):
    """A model that finds things in images."""

    @property
    def identity(self) -> str:
        """The model's URI."""

    @property
    def revision(self) -> str:
        """Revision of the weights."""

    def detect(self, images: Iterable[tuple[str, bytes]]) -> pa.Table:
        """Return the things in ``images``, each a key and an encoded image, with columns as in ``DETECTIONS``."""


@dataclass(frozen=True)
class ObjectAccuracy:
    """Semantic Object Accuracy: shares from 0 to 1."""

    per_class: Mapping[str, float]
    by_class: float
    """SOA-C: the mean over classes, each counting the same."""
    by_image: float
    """SOA-I: the share over all images, so that a class counts by its images."""


@dataclass(frozen=True)
class PositionalAlignment:
    """Positional Alignment: shares from 0 to 1."""

    per_word: Mapping[str, float]
    score: float
    """The mean over words, each counting the same."""


def object_accuracy(
    captioned: pa.Table, detections: pa.Table, *, min_confidence: float = MIN_CONFIDENCE
) -> ObjectAccuracy:
    """Return in which share of the images a thing that their caption names was found at least once.

    ``captioned`` has a row for each ``image`` and ``label`` that its caption names; an image whose caption names
    several classes counts for each. Raises BadInput where it is empty.
    """
    found = set(_counted(detections, min_confidence))
    per_class: dict[str, list[bool]] = defaultdict(list)
    for image, label in dict.fromkeys(_pairs(captioned, "image", "label")):
        per_class[label].append((image, label) in found)
    shares = {label: _mean(hits) for label, hits in sorted(per_class.items())}
    every = [hit for hits in per_class.values() for hit in hits]
    return ObjectAccuracy(shares, by_class=_mean([*shares.values()]), by_image=_mean(every))


def counting_error(counted: pa.Table, detections: pa.Table, *, min_confidence: float = MIN_CONFIDENCE) -> float:
    """Return Counting Alignment: the root mean square error of an image's counts, meaned over images; 0 is best.

    ``counted`` has the ``count`` of each ``label`` that the caption of an ``image`` says the number of; what was not
    found counts 0, and what the caption does not number counts nothing. Raises BadInput where it is empty.
    """
    found = _counted(detections, min_confidence)
    squares: dict[str, list[float]] = defaultdict(list)
    for row in counted.select(["image", "label", "count"]).to_pylist():
        squares[row["image"]].append((found[row["image"], row["label"]] - row["count"]) ** 2)
    return _mean([math.sqrt(_mean(own)) for own in squares.values()])


def positional_alignment(scores: pa.Table, *, min_preference: float = MIN_PREFERENCE) -> PositionalAlignment:
    """Return how often an image fits its caption clearly better than one with the opposite word of position.

    ``scores`` has a row an image: the ``word`` (above, left, ...), and ``caption`` and ``false_caption``, the scores
    of the two texts before the softmax: of CLIP, its logits, which are 100 times the cosine. An image succeeds where
    the softmax gives its caption more than ``min_preference``. Raises BadInput where there is no row.
    """
    per_word: dict[str, list[bool]] = defaultdict(list)
    for row in scores.select(["word", "caption", "false_caption"]).to_pylist():
        per_word[row["word"]].append(_preference(row["caption"], row["false_caption"]) > min_preference)
    shares = {word: _mean(hits) for word, hits in sorted(per_word.items())}
    return PositionalAlignment(shares, _mean([*shares.values()]))


def _preference(true: float, false: float) -> float:
    # The softmax of two, written so that no exponential overflows.
    difference = false - true
    return math.exp(-difference) / (1 + math.exp(-difference)) if difference > 0 else 1 / (1 + math.exp(difference))


def _counted(detections: pa.Table, min_confidence: float) -> Counter[tuple[str, str]]:
    sure = detections.filter(pa.compute.greater_equal(detections["confidence"], min_confidence))
    return Counter(_pairs(sure, "image", "label"))


def _pairs(table: pa.Table, first: str, second: str) -> Iterator[tuple[str, str]]:
    return zip(table[first].to_pylist(), table[second].to_pylist(), strict=True)


def _mean(values: Sequence[float]) -> float:
    if not values:
        raise BadInput("no figure can be had from an empty table: expected at least one image")
    return math.fsum(values) / len(values)
