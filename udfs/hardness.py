"""How hard a false text is: how much of the true one it keeps.

HQ-CLIP's two published examples share 0.39 and 0.34 of their words; a benchmark such as SugarCrepe changes one word.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

_MAX_WORDS: Final = 1000
"""Of a text that is compared word by word: what is behind counts as equal."""


def jaccard(one: Sequence[str], other: Sequence[str]) -> float:
    """Return the share of all different words that both have: 1 for the same words, 0 for none in common.

    >>> jaccard(["a", "red", "kite"], ["a", "blue", "kite"])
    0.5
    """
    words, others = set(one), set(other)
    return len(words & others) / len(words | others) if words | others else 1.0


def edit_distance(one: Sequence[str], other: Sequence[str]) -> float:
    """Return how many words to add, drop or replace to get from one to the other, by the words of the longer one.

    >>> edit_distance(["a", "red", "kite"], ["a", "blue", "kite", "flies"])
    0.5
    """
    short, long = sorted((one[:_MAX_WORDS], other[:_MAX_WORDS]), key=len)
    if not long:
        return 0.0
    numbers = {word: number for number, word in enumerate(dict.fromkeys([*short, *long]))}
    columns = np.array([numbers[word] for word in long])
    places = np.arange(len(long) + 1)
    row = places
    for at, word in enumerate(short, start=1):
        best = np.minimum(row[1:] + 1, row[:-1] + (columns != numbers[word]))
        # Each cell is at most one more than its left neighbour: a running minimum, once each step's 1 is taken off.
        row = np.minimum.accumulate(np.concatenate([[at], best]) - places) + places
    return float(row[-1]) / len(long)
