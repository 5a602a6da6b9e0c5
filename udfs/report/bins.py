"""What is counted in which bins: each histogram of the report, its bins as SQL and its axis."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from udfs.report.charts import Tick
from udfs.report.numbers import count, short

_SCALES: Final[dict[str, tuple[Callable[[float], float], Callable[[float], float]]]] = {
    "": (lambda value: value, lambda place: place),
    "log2": (math.log2, lambda place: 2.0**place),
    "log10": (math.log10, lambda place: 10.0**place),
}
"""SQL function that is applied before binning -> the same in Python, and its inverse."""


@dataclass(frozen=True)
class Bins:
    """One histogram: what is measured, and equal bins from ``low`` to ``high`` of its value or of its logarithm.

    What lies outside falls into the first or the last bin; ``ticks`` are values. ``whole`` says that values are whole
    numbers; ``about`` is the title of the axis where there is no unit.
    """

    name: str
    title: str
    sql: str
    low: float
    high: float
    count: int
    ticks: tuple[float, ...]
    unit: str = ""
    about: str = ""
    scale: str = ""
    whole: bool = False

    @property
    def bucket_sql(self) -> str:
        """Return SQL for the number of the bin, from 1; null where nothing was measured."""
        lowest = _SCALES[self.scale][1](self.low)
        value = f"{self.scale}(greatest({self.sql}, {lowest:g}))" if self.scale else self.sql
        bucket = f"width_bucket({value}, {self.low:g}, {self.high:g}, {self.count})"
        return f"least(greatest({bucket}, 1), {self.count})"

    def axis(self) -> list[Tick]:
        """Return the labels of the axis; the last says that it stands for everything above, too."""
        forward = _SCALES[self.scale][0]
        places = [(forward(value) - self.low) / (self.high - self.low) for value in self.ticks]
        labels = [count(value) if self.whole else short(value) for value in self.ticks]
        return [Tick(place, label) for place, label in zip(places, labels, strict=True)]

    def bin_names(self) -> list[str]:
        """Return what each bin holds, in words."""
        return [self._named(at) for at in range(self.count)]

    def _named(self, at: int) -> str:
        first, last = self._edge(at), self._edge(at + 1)
        if self.whole:
            first, last = math.ceil(first), math.ceil(last) - 1
        start, end = (count(edge) if self.whole else short(edge) for edge in (first, last))
        if at == self.count - 1:
            return f"{start}{self._unit} or more"
        return f"{start}{self._unit}" if start == end else f"{start} to {end}{self._unit}"

    @property
    def _unit(self) -> str:
        return f" {self.unit}" if self.unit else ""

    def _edge(self, at: int) -> float:
        return _SCALES[self.scale][1](self.low + at * (self.high - self.low) / self.count)


SIGNALS: Final = (
    Bins(
        "short_side",
        "Shorter side",
        "least(width, height)",
        4,
        13,
        18,
        (16, 64, 256, 1024, 4096),
        unit="px",
        scale="log2",
        whole=True,
    ),
    Bins("aspect", "Longer by shorter side", "aspect", 1, 5, 20, (1, 2, 3, 4, 5), about="times"),
    Bins("words", "Words in the alt-text", "words", 0.5, 20.5, 20, (1, 5, 10, 15, 20), unit="words", whole=True),
    Bins("entropy", "Entropy of grey levels", "entropy", 0, 8, 16, (0, 2, 4, 6, 8), unit="bits"),
    Bins(
        "sharpness",
        "Sharpness",
        "sharpness",
        0,
        5,
        20,
        (1, 10, 100, 1000, 10000, 100000),
        about="variance of the Laplacian",
        scale="log10",
    ),
    Bins(
        "flat_share",
        "Share of the most frequent colour",
        "flat_share",
        0,
        1,
        20,
        (0, 0.25, 0.5, 0.75, 1),
        about="share",
    ),
)
"""Of silver.signals."""

_WORDS_OF_NEGATIVE: Final = r"size(split(trim(long_negative), '\\s+'))"


def _words(name: str, title: str, sql: str) -> Bins:
    return Bins(name, title, sql, 0.5, 60.5, 30, (1, 15, 30, 45, 60), unit="words", whole=True)


def _tags(name: str, title: str) -> Bins:
    return Bins(name, title, f"size({name})", -0.5, 15.5, 16, (0, 5, 10, 15), unit="tags", whole=True)


LENGTHS: Final = (
    Bins("alt_text", "Alt-text", "alt_text_words", 0.5, 30.5, 30, (1, 10, 20, 30), unit="words", whole=True),
    _tags("web_tags", "Tags that came with the image"),
    _words("long_positive", "Long positive", "long_positive_words"),
    _words("long_negative", "Long negative", _WORDS_OF_NEGATIVE),
    _tags("short_positive", "Short positives"),
    _tags("short_negative", "Short negatives"),
)
"""Of gold.captions."""


def median_bin(counts: Sequence[float]) -> int | None:
    """Return the place of the bin that holds the middle value; None where there is no value.

    >>> median_bin([1, 5, 2]), median_bin([0, 0])
    (1, None)
    """
    half, below = sum(counts) / 2, 0.0
    for at, number in enumerate(counts):
        below += number
        if below >= half and number:
            return at
    return None


def counts_of(rows: Sequence[tuple[int, int]], bins: int) -> list[int]:
    """Return counts by place from (bin from 1, count) rows.

    >>> counts_of([(3, 7), (1, 2)], 4)
    [2, 0, 7, 0]
    """
    found = dict(rows)
    return [found.get(at, 0) for at in range(1, bins + 1)]
