"""Lakes compared by what they hold: rows of all tables, without what two runs on the same pairs may differ in."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from lakehouse.small_rows import read_rows
from lakehouse.table import Table
from schemas import TABLES
from schemas.gold import RELEASES
from schemas.ops import RUNS

Contents = Mapping[str, list[str]]
"""Name of a table -> its rows as text, sorted."""

_MAY_DIFFER = {"run_id", "seconds"}
"""Beside all times. Ids of runs are drawn at random."""

_MAY_DIFFER_IN = {
    # A run that was cut may have made a table before it filled it: Delta counts a version more.
    RELEASES.name: {"release", "table_version"},
}


def contents(root: str, tables: Iterable[Table] = TABLES) -> Contents:
    """Return what the lake at ``root`` holds; two lakes of the same pairs and settings compare equal.

    The run log is left out: a run that was cut is a run more. Images and other bytes are told apart by their SHA-256.
    """
    return {table.name: _lines(root, table) for table in tables if table != RUNS}


def counts(found: Contents) -> dict[str, int]:
    """Return the rows of each table that has any."""
    return {name: len(lines) for name, lines in found.items() if lines}


def _lines(root: str, table: Table) -> list[str]:
    left_out = _MAY_DIFFER | _MAY_DIFFER_IN.get(table.name, set())
    return sorted(_line(row, left_out) for row in read_rows(root, table))


def _line(row: Mapping[str, Any], left_out: set[str]) -> str:
    kept = {name: value for name, value in row.items() if name not in left_out and not isinstance(value, datetime)}
    return json.dumps(kept, default=_shown, sort_keys=True)


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        return f"{len(value)} bytes, {hashlib.sha256(value).hexdigest()}"
    return repr(value)
