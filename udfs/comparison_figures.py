"""A comparison as people read it: figures of both sides in lines, and sentences that say what they come to."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from udfs.comparison import MIN_PAIRS, SIDES, TEXTS, winner
from udfs.report.numbers import count, share

Values = Mapping[str, float]
"""Metrics by name, as ``udfs.comparison.compare`` names them."""

_NAMES: Final[Mapping[str, str]] = {
    "long_positive": "long positive",
    "short_positive": "short positives",
    "long_negative": "long negative",
    "short_negative": "short negatives",
}
_VERDICTS: Final[Mapping[str, str]] = {
    "accepted": "Accepted",
    "repaired": "Accepted after a repair",
    "rejected": "Rejected",
}
_COSTS_AND_FIT: Final[Mapping[str, str]] = {
    "usd_per_accepted": "US dollars an accepted answer",
    "tokens_per_accepted": "Tokens an accepted answer",
    "seconds_per_accepted": "Seconds an accepted answer",
    "similarity_mean": "Similarity of image and long positive",
}


@dataclass(frozen=True)
class Figure:
    """What was measured of both sides, in words; a dash where one has nothing to measure."""

    name: str
    first: str
    second: str


def figures_of(values: Values) -> Iterator[Figure]:
    """Yield the figures of both sides, in the order in which one would ask for them."""
    for name, title in _VERDICTS.items():
        yield _figure(title, values, name, _per_cent)
        for part in _parts(values, f"{name}_"):
            words = part.removeprefix(f"{name}_").replace("_", " ")
            yield _figure(f"{title}: {words}", values, part, _per_cent, absent=0.0)
    for text in TEXTS:
        yield _figure(f"Words of the {_NAMES[text]}", values, f"words_{text}_mean", _one_digit)
    for text in TEXTS:
        yield _figure(f"CLIP's tokens of the {_NAMES[text]}", values, f"tokens_{text}_mean", _one_digit)
        yield _figure(f"Over CLIP's 77 tokens: {_NAMES[text]}", values, f"over_77_{text}", _per_cent)
    for name, title in _COSTS_AND_FIT.items():
        if any(f"{side}_{name}" in values for side in SIDES):
            yield _figure(title, values, name, _small)


def sentences_of(values: Values) -> list[str]:
    """Return what the answers of both sides together say: who alone was accepted, and whose texts fit better."""
    alone = [count(values.get(f"only_{side}_accepted", 0.0)) for side in SIDES]
    accepted = (
        f"Of {count(values['samples'])} samples the first alone was accepted on {alone[0]}, the second on {alone[1]}."
    )
    return [accepted, *_fit(values)]


def _fit(values: Values) -> list[str]:
    if "similarity_gap_mean" not in values:
        return ["No text was compared with its image."]
    gap, low, high = (values[f"similarity_gap_{name}"] for name in ("mean", "low", "high"))
    wins, ties, losses = (count(values[f"similarity_{name}"]) for name in ("wins", "ties", "losses"))
    counted = f"the first fits its image better {wins} times, as well {ties} times, worse {losses} times"
    return [
        f"Similarity, first less second: {gap:+.2f} in the mean, 95 % interval {low:+.2f} to {high:+.2f}; "
        f"{counted} (sign test: p = {values['similarity_sign_p']:.2g}).",
        _VERDICT[winner(values)],
    ]


_VERDICT: Final[Mapping[str | None, str]] = {
    "first": "The first's long positives fit better: the interval excludes 0.",
    "second": "The second's long positives fit better: the interval excludes 0.",
    None: f"Neither fits clearly better: that takes {MIN_PAIRS} scored pairs and an interval that excludes 0.",
}


def lines_of(values: Values, names: Sequence[str]) -> list[str]:
    """Return the comparison as plain text; ``names`` say who the two sides are."""
    rows = [Figure("", "first", "second"), *figures_of(values)]
    wide = max(len(row.name) for row in rows)
    table = [f"  {row.name:<{wide}}  {row.first:>12}  {row.second:>12}" for row in rows]
    told = [f"{side}: {name}" for side, name in zip(SIDES, names, strict=True)]
    return [*told, *table, *sentences_of(values)]


def _parts(values: Values, prefix: str) -> list[str]:
    """Return the names with ``prefix`` that either side has, the most frequent first."""
    names = {key.removeprefix(f"{side}_") for side in SIDES for key in values if key.startswith(f"{side}_{prefix}")}
    return sorted(names, key=lambda name: (-max(values.get(f"{side}_{name}", 0.0) for side in SIDES), name))


def _figure(
    title: str, values: Values, name: str, shown: Callable[[float], str], *, absent: float | None = None
) -> Figure:
    found = [values.get(f"{side}_{name}", absent) for side in SIDES]
    first, second = ("—" if value is None else shown(value) for value in found)
    return Figure(title, first, second)


def _per_cent(value: float) -> str:
    return share(value, 1)


def _one_digit(value: float) -> str:
    return f"{value:.1f}"


def _small(value: float) -> str:
    """Return a number with two digits behind the point; more where it is small.

    >>> _small(1234.5), _small(0.000123), _small(0)
    ('1,234.50', '0.000123', '0.00')
    """
    return f"{value:.6f}" if 0 < abs(value) < 0.1 else f"{value:,.2f}"
