"""A table, declared once: its DDL, its page in the data dictionary and its write-time checks all come from here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lakehouse.errors import SchemaMismatch

_NAME = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Column:
    """One column: SQL type, what it means, and whether it may be missing."""

    name: str
    type: str
    comment: str
    nullable: bool = False

    @property
    def ddl(self) -> str:
        """Return the column as it stands in CREATE TABLE."""
        null = "" if self.nullable else " NOT NULL"
        return f"`{self.name}` {self.type}{null} COMMENT {quoted(self.comment)}"


@dataclass(frozen=True)
class Table:
    """A Delta table: what one row is, how rows are told apart, and what holds for every row.

    ``checks`` maps a name to a SQL rule that every row must meet; Delta enforces them at each write, whoever writes.
    ``statistics`` names the columns that Delta keeps minima and maxima of; image bytes and long texts stay out of it.
    """

    name: str
    comment: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    cluster_by: tuple[str, ...] = ()
    statistics: tuple[str, ...] = ()
    checks: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"bad table name {self.name!r}: expected layer.name in lower case")
        unknown = {*self.key, *self.cluster_by, *self.statistics} - set(self.column_names)
        if unknown:
            raise ValueError(f"{self.name}: no such column {sorted(unknown)}; it has {list(self.column_names)}")

    @property
    def layer(self) -> str:
        """Return bronze, silver, gold or ops."""
        return self.name.partition(".")[0]

    @property
    def column_names(self) -> tuple[str, ...]:
        """Return the names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def nullable_names(self) -> tuple[str, ...]:
        """Return the names of the columns that may be missing, in order."""
        return tuple(column.name for column in self.columns if column.nullable)

    def create_statement(self, location: str, properties: Mapping[str, str]) -> str:
        """Return the statement that creates this table at ``location``, checks included, and fails if it is there."""
        columns = ",\n  ".join(column.ddl for column in self.columns)
        clustering = f"\nCLUSTER BY ({', '.join(self.cluster_by)})" if self.cluster_by else ""
        return (
            f"CREATE TABLE delta.`{location.replace('`', '``')}` (\n  {columns}\n) USING delta{clustering}\n"
            f"COMMENT {quoted(self.comment)}\nTBLPROPERTIES ({self._properties(properties)})"
        )

    def _properties(self, extra: Mapping[str, str]) -> str:
        constraints = {f"delta.constraints.{name}": rule for name, rule in self.checks.items()}
        statistics = {"delta.dataSkippingStatsColumns": ",".join(dict.fromkeys((*self.cluster_by, *self.statistics)))}
        given = {**statistics, **constraints, **extra}
        return ", ".join(f"{quoted(key)} = {quoted(value)}" for key, value in given.items())

    def mismatch(self, found: Mapping[str, str]) -> SchemaMismatch | None:
        """Return the error that says how ``found`` (name to SQL type) differs from the declaration, or None."""
        declared = {column.name: column.type.lower().replace(" ", "") for column in self.columns}
        given = {name: kind.lower().replace(" ", "") for name, kind in found.items()}
        missing = [name for name in declared if name not in given]
        unknown = [name for name in given if name not in declared]
        differing = [
            f"{name} is {given[name]}, not {kind}"
            for name, kind in declared.items()
            if name in given and given[name] != kind
        ]
        parts = [f"missing {', '.join(missing)}"] * bool(missing) + [f"unknown {', '.join(unknown)}"] * bool(unknown)
        problems = "; ".join([*parts, *differing])
        return SchemaMismatch(f"cannot write {self.name}: {problems}") if problems else None


def quoted(text: str) -> str:
    """Return ``text`` as a SQL string literal.

    >>> print(quoted("it's"))
    'it\\'s'
    """
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
