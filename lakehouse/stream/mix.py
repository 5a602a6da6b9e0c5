"""Which of a row's texts a batch takes."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Self

import numpy as np
import numpy.typing as npt

from lakehouse.errors import StreamError


class Mix(Mapping[str, float]):
    """Weights of text columns: a row gives one of its texts, chosen in this proportion among those that it has.

    Weights need not sum to one. Immutable. An empty mix, allowed for negatives alone, chooses nothing.

    >>> Mix(alt_text=1, long_positive=3)
    Mix(alt_text=0.25, long_positive=0.75)
    """

    def __init__(self, weights: Mapping[str, float] | None = None, **columns: float) -> None:
        given = {**(weights or {}), **columns}
        for column, weight in given.items():
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < math.inf:
                raise StreamError(f"bad weight {weight!r} of {column!r} in a mix: expected a number from 0")
        total = math.fsum(given.values())
        if given and not total > 0:
            raise StreamError(f"bad mix {given}: expected at least one weight above 0")
        self._weights = {column: weight / total for column, weight in given.items() if weight > 0}

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the mix in ``text``, a JSON object of column to weight; an empty text is an empty mix."""
        try:
            weights = json.loads(text or "{}")
        except json.JSONDecodeError:
            raise StreamError(f"bad mix {text!r}: expected a JSON object of column to weight") from None
        if not isinstance(weights, dict):
            raise StreamError(f"bad mix {text!r}: expected a JSON object of column to weight")
        return cls(weights)

    @classmethod
    def of(cls, given: Mapping[str, float]) -> Self:
        """Return a mapping of column to weight as a mix; raise where it is something else."""
        if not isinstance(given, Mapping):
            raise StreamError(f"bad mix {given!r}: expected Mix(alt_text=1, ...) or a dict of column to weight")
        return given if isinstance(given, cls) else cls(given)

    def check(self, columns: Sequence[str]) -> None:
        """Raise if the mix names a column that is not among the text columns ``columns``."""
        unknown = [column for column in self if column not in columns]
        if unknown:
            raise StreamError(f"unknown text column {unknown[0]!r} in a mix: expected one of {', '.join(columns)}")

    def choose(self, present: npt.NDArray[np.bool_], at: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Return a column's position for every row, or -1 where the row has none of the texts.

        ``present`` tells, a row a line and a column of the mix a place, which texts there are; ``at`` is in [0, 1).
        """
        if not self._weights:
            return np.full(len(at), -1, np.int64)
        weights = present * np.array([*self._weights.values()])
        steps = weights.cumsum(axis=1)
        chosen = (steps <= (at * steps[:, -1])[:, None]).sum(axis=1)
        # A product that rounds up to the whole would run past the last text that the row has.
        last = present.shape[1] - 1 - present[:, ::-1].argmax(axis=1)
        return np.where(present.any(axis=1), np.minimum(chosen, last), -1).astype(np.int64)

    def __getitem__(self, column: str) -> float:
        return self._weights[column]

    def __iter__(self) -> Iterator[str]:
        return iter(self._weights)

    def __len__(self) -> int:
        return len(self._weights)

    def __hash__(self) -> int:
        return hash(tuple(self._weights.items()))

    def __repr__(self) -> str:
        return f"Mix({', '.join(f'{column}={weight:g}' for column, weight in self._weights.items())})"
