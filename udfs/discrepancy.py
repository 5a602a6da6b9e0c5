"""How far the texts that a model learns from are from the prompts that people type: figures of RECAP's argument.

RECAP holds that alt-text differs from prompts, in length and in kind, and that recaptions differ less (section 1).
"""

import itertools
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from lakehouse.errors import BadInput

Vectors = npt.NDArray[np.float64]

LENGTH_EDGES: Final = (0, 5, 10, 15, 20, 30, 40, 60, 100)
"""Where the bins of a histogram of lengths begin, in words; the last one has no end."""

_WORD = re.compile(r"\w+")


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
            words = _words(text)
            for gram in (*words, *map(" ".join, itertools.pairwise(words))):
                digest = zlib.crc32(gram.encode(errors="surrogatepass"))
                # A sign from the hash as well: what falls into one place by chance cancels out on average.
                row[digest % self.places] += 1 if digest >> 31 else -1
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors /= np.where(lengths > 0, lengths, 1)
        return vectors


@dataclass(frozen=True)
class Discrepancy:
    """How texts differ from prompts."""

    text_lengths: tuple[float, ...]
    """Share of the texts in each bin of ``LENGTH_EDGES``."""
    prompt_lengths: tuple[float, ...]
    length_distance: float
    """Words by which lengths would have to be moved on average to be those of the prompts; 0 if they are alike."""
    vocabulary_overlap: float
    """Different words that both use, of those that either does: 0 to 1."""
    covered_words: float
    """Words of the prompts, each time that they are used, that some text uses too: 0 to 1."""
    embedding_distance: float
    """Squared maximum mean discrepancy, unbiased: about 0 for two samples of one kind, and may be below."""
    embedder: str


def discrepancy(texts: Sequence[str], prompts: Sequence[str], embedder: TextEmbedder = HashedNgrams()) -> Discrepancy:
    """Return how ``texts`` differ from ``prompts``; raise BadInput for fewer than two of either.

    All of it is held in memory, and the embedding's part grows with the square: take samples of a few thousand.
    """
    if min(len(texts), len(prompts)) < 2:
        raise BadInput(f"cannot compare {len(texts)} texts with {len(prompts)} prompts: expected two of each or more")
    text_lengths, prompt_lengths = lengths_in_words(texts), lengths_in_words(prompts)
    overlap, covered = vocabulary_overlap(texts, prompts)
    return Discrepancy(
        text_lengths=length_shares(text_lengths),
        prompt_lengths=length_shares(prompt_lengths),
        length_distance=earth_movers_distance(text_lengths, prompt_lengths),
        vocabulary_overlap=overlap,
        covered_words=covered,
        embedding_distance=mean_discrepancy(embedder.embed(texts), embedder.embed(prompts)),
        embedder=embedder.name,
    )


def length_shares(lengths: Sequence[int]) -> tuple[float, ...]:
    """Return which share of ``lengths`` is in each bin of ``LENGTH_EDGES``.

    >>> length_shares([3, 5, 7, 200])
    (0.25, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.25)
    """
    bins = np.searchsorted(LENGTH_EDGES, lengths, side="right") - 1
    counts = np.bincount(bins, minlength=len(LENGTH_EDGES))
    return tuple((counts / len(lengths)).tolist())


def earth_movers_distance(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return how far, on average, the values of one sample have to be moved to become the other's.

    >>> earth_movers_distance([1, 1, 5], [3, 3, 7])
    2.0
    """
    steps = np.sort(np.concatenate([ours, theirs]))
    below = [np.searchsorted(np.sort(values), steps[:-1], side="right") / len(values) for values in (ours, theirs)]
    return float(np.sum(np.abs(below[0] - below[1]) * np.diff(steps)))


def vocabulary_overlap(texts: Sequence[str], prompts: Sequence[str]) -> tuple[float, float]:
    """Return which share of all words both use, and which share of the words in ``prompts`` some text uses.

    Both are 0 where there is no word. Case does not matter.

    >>> vocabulary_overlap(["A red duck"], ["a duck", "a swan"])
    (0.5, 0.75)
    """
    ours = {word for text in texts for word in _words(text)}
    used = Counter(word for prompt in prompts for word in _words(prompt))
    known = sum(count for word, count in used.items() if word in ours)
    return len(ours & used.keys()) / max(1, len(ours | used.keys())), known / max(1, used.total())


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


def lengths_in_words(texts: Sequence[str]) -> list[int]:
    """Return how many words each text has.

    >>> lengths_in_words(["A red duck", ""])
    [3, 0]
    """
    return [len(_words(text)) for text in texts]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
