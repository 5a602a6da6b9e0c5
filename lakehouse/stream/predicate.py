"""The SQL that chooses a release's rows, as far as a trainer understands it: comparisons joined by AND."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.errors import StreamError

Literal = str | int

COLUMNS = ("split", "bucket")
"""The columns that a predicate may name."""

_COMPARE: dict[str, Callable[[pa.ChunkedArray, Literal], pa.ChunkedArray]] = {
    "=": pc.equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}

_LITERAL = r"(?:'(?:[^']|'')*'|-?\d+)"
_COMPARISON = re.compile(
    rf"\s*(?P<column>\w+)\s*(?:(?P<operator><=|>=|=|<|>)\s*(?P<value>{_LITERAL})"
    rf"|\bIN\s*\(\s*(?P<values>{_LITERAL}(?:\s*,\s*{_LITERAL})*)\s*\))\s*",
    re.IGNORECASE,
)
_AND = re.compile(r"AND\b", re.IGNORECASE)


@dataclass(frozen=True)
class Comparison:
    """One term: ``column operator values``, where only IN has more than one value."""

    column: str
    operator: str
    values: tuple[Literal, ...]

    def holds(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return for every value whether the term is true; a null is not."""
        if self.operator == "IN":
            return pc.is_in(column, value_set=pa.array(self.values))
        return pc.fill_null(_COMPARE[self.operator](column, self.values[0]), False)


@dataclass(frozen=True)
class Predicate:
    """Terms that must all hold; without a term every row meets it."""

    terms: tuple[Comparison, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it reads, each once."""
        return tuple(dict.fromkeys(term.column for term in self.terms))

    def holds(self, table: pa.Table) -> npt.NDArray[np.bool_]:
        """Return for every row of ``table`` whether it meets the predicate."""
        met = np.ones(table.num_rows, np.bool_)
        for term in self.terms:
            met &= term.holds(table.column(term.column)).to_numpy()
        return met

    def __and__(self, other: "Predicate") -> "Predicate":
        return Predicate(self.terms + other.terms)


def parse_predicate(sql: str) -> Predicate:
    """Return the predicate in ``sql``; an empty text or TRUE is one that every row meets.

    >>> parse_predicate("split = 'train' AND bucket < 100").columns
    ('split', 'bucket')
    """
    if sql.strip().lower() in ("", "true"):
        return Predicate()
    terms, rest = [], sql
    while True:
        found = _COMPARISON.match(rest)
        if found is None:
            raise _not_understood(sql, rest)
        terms.append(_comparison(found, sql))
        rest = rest[found.end() :]
        if not rest:
            return Predicate(tuple(terms))
        joined = _AND.match(rest)
        if joined is None:
            raise _not_understood(sql, rest)
        rest = rest[joined.end() :]


def is_split(name: str) -> Predicate:
    """Return the predicate of the rows of split ``name``."""
    return Predicate((Comparison("split", "=", (name,)),))


def _comparison(found: re.Match[str], sql: str) -> Comparison:
    column = found["column"].lower()
    if column not in COLUMNS:
        raise StreamError(f"cannot read predicate {sql!r}: {column!r} is not one of {', '.join(COLUMNS)}")
    values = tuple(_literal(text) for text in re.findall(_LITERAL, found["value"] or found["values"]))
    expected = str if column == "split" else int
    if not all(isinstance(value, expected) for value in values):
        raise StreamError(f"cannot read predicate {sql!r}: {column} is compared with {values}, not {expected.__name__}")
    return Comparison(column, found["operator"] or "IN", values)


def _literal(text: str) -> Literal:
    return text[1:-1].replace("''", "'") if text.startswith("'") else int(text)


def _not_understood(sql: str, rest: str) -> StreamError:
    return StreamError(
        f"cannot read predicate {sql!r} at {rest!r}: expected comparisons of {' or '.join(COLUMNS)} joined by AND"
    )
