"""How far the texts that a model learns from are from the prompts that people type: figures of RECAP's argument.

RECAP holds that alt-text differs from prompts, in length and in kind, and that recaptions differ less (section 1).
"""

import itertools
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from lakehouse.errors import BadInput
from udfs.words import words_of

Vectors = npt.NDArray[np.float64]

LENGTH_EDGES: Final = (0, 5, 10, 15, 20, 30, 40, 60, 100)
"""Where the bins of a histogram of lengths begin, in words; the last one has no end."""


class TextEmbedder(Protocol):
    """Makes vectors of texts."""

    @property
    def name(self) -> str:
        """What it is, with its weights if it has any: distances of two embedders cannot be compared."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one vector a text, in order."""


@dataclass(frozen=True)
class HashedNgrams:
    """No model: counts of a text's words and pairs of words, hashed into so many places, at length one.

    It sees wording, not meaning; it is there so that the figure can be had without weights.
    """

    places: int = 1024

    @property
    def name(self) -> str:
        """The name, with all that changes a vector."""
        return f"hashed-1-2-grams-{self.places}"

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors; a text without a word is all zeros."""
        vectors = np.zeros((len(texts), self.places))
        for row, text in zip(vectors, texts, strict=True):
            words = words_of(text)
            for gram in (*words, *map(" ".join, itertools.pairwise(words))):
                digest = zlib.crc32(gram.encode(errors="surrogatepass"))
                # A sign from the hash as well: what falls into one place by chance cancels out on average.
                row[digest % self.places] += 1 if digest >> 31 else -1
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors /= np.where(lengths > 0, lengths, 1)
        return vectors


@dataclass(frozen=True)
class Sample:
    """Texts with what is compared of them, each made once."""

    lengths: Sequence[int]
    """Of each text, in words."""
    words: Counter[str]
    vectors: Vectors
    """One a text."""

    @classmethod
    def of(cls, texts: Sequence[str], embedder: TextEmbedder) -> "Sample":
        """Return the sample that ``texts`` are; raise BadInput for fewer than two, which have no spread."""
        if len(texts) < 2:
            raise BadInput(f"cannot compare {len(texts)} texts: expected two or more")
        words = [words_of(text) for text in texts]
        return cls([*map(len, words)], Counter(itertools.chain.from_iterable(words)), embedder.embed(texts))


@dataclass(frozen=True)
class Discrepancy:
    """How texts differ from prompts."""

    length_distance: float
    """Words by which lengths would have to be moved on average to be those of the prompts; 0 if they are alike."""
    vocabulary_overlap: float
    """Different words that both use, of those that either does: 0 to 1."""
    covered_words: float
    """Words of the prompts, each time that they are used, that some text uses too: 0 to 1."""
    embedding_distance: float
    """Squared maximum mean discrepancy, unbiased: about 0 for two samples of one kind, and may be below."""


def discrepancy(texts: Sample, prompts: Sample) -> Discrepancy:
    """Return how ``texts`` differ from ``prompts``, both by one embedder.

    The embedding's part grows with the square of their number: take samples of a few thousand.
    """
    overlap, covered = vocabulary_overlap(texts.words, prompts.words)
    return Discrepancy(
        length_distance=earth_movers_distance(texts.lengths, prompts.lengths),
        vocabulary_overlap=overlap,
        covered_words=covered,
        embedding_distance=mean_discrepancy(texts.vectors, prompts.vectors),
    )


def earth_movers_distance(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return how far, on average, the values of one sample have to be moved to become the other's.

    >>> earth_movers_distance([1, 1, 5], [3, 3, 7])
    2.0
    """
    steps = np.sort(np.concatenate([ours, theirs]))
    below = [np.searchsorted(np.sort(values), steps[:-1], side="right") / len(values) for values in (ours, theirs)]
    return float(np.sum(np.abs(below[0] - below[1]) * np.diff(steps)))


def vocabulary_overlap(ours: Counter[str], theirs: Counter[str]) -> tuple[float, float]:
    """Return which share of all words both use, and which share of the words in ``theirs`` is among ``ours``.

    Both are 0 where there is no word.

    >>> vocabulary_overlap(Counter(["a", "red", "duck"]), Counter(["a", "duck", "a", "swan"]))
    (0.5, 0.75)
    """
    known = sum(count for word, count in theirs.items() if word in ours)
    return len(ours.keys() & theirs.keys()) / max(1, len(ours.keys() | theirs.keys())), known / max(1, theirs.total())


def mean_discrepancy(ours: Vectors, theirs: Vectors) -> float:
    """Return the squared maximum mean discrepancy between two samples of vectors, by its unbiased estimate.

    The kernel is Gaussian. Its width is the median squared distance within ``theirs``, the prompts: no scale has to be
    chosen, and texts of several kinds are measured against the same prompts by the same kernel.
    """
    whole = np.concatenate([ours, theirs]).astype(np.float64)
    squares = np.einsum("ij,ij->i", whole, whole)
    distances = np.maximum(squares[:, None] + squares[None, :] - 2 * whole @ whole.T, 0)
    count = len(ours)
    width = float(np.median(distances[count:, count:][np.triu_indices(len(theirs), 1)])) or 1.0
    kernel = np.exp(-distances / width)
    within = _mean_of_others(kernel[:count, :count]) + _mean_of_others(kernel[count:, count:])
    return float(within - 2 * kernel[:count, count:].mean())


def _mean_of_others(kernel: Vectors) -> float:
    """Return the mean without the diagonal: a vector's likeness to itself says nothing."""
    count = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (count * (count - 1)))
