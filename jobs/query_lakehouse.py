"""Ask SQL of the lake: `python -m jobs.query_lakehouse "SELECT ..."` prints a table, CSV or JSON."""

import csv
import json
import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, TextIO

from pyspark.errors import PySparkException
from pyspark.sql import Row

from lakehouse.cli import FROM_ZERO, POSITIONAL, check_ranges, parse
from lakehouse.errors import BadInput
from lakehouse.lake import Lake, open_lake
from lakehouse.lake_mark import check_lake
from lakehouse.lake_root import normal_root
from lakehouse.outcome import cause, explain, logs_folder
from lakehouse.session import connect
from schemas import TABLES


@dataclass(frozen=True)
class Config:
    """Ask a question of the lake's tables by their names: bronze.pairs, silver.signals, gold.captions, ops.runs ..."""

    sql: Annotated[str, "a SELECT", POSITIONAL]
    lake: Annotated[str, "root of the lakehouse: a folder or a bucket"] = "build/demo/lake"
    format: Annotated[str, "table, csv (an apostrophe before what is a formula) or json (exact; an object a line)"] = (
        "table"
    )
    limit: Annotated[int, "most rows to print", FROM_ZERO] = 1000


_QUESTIONS: Final = ("select", "with", "show", "describe", "desc", "explain", "values", "from", "table")
_PLAIN: Final = ("show", "describe", "desc", "explain")
"""What only tells, and cannot stand in a subquery."""
_BEFORE = re.compile(r"(?:\s|\(|--[^\n]*(?:\n|$)|/\*.*?\*/)*", re.DOTALL)
"""Blanks, brackets and comments, which may stand before the first word."""


def check(config: Config) -> None:
    """Raise BadInput for what is wrong in the settings alone."""
    if config.format not in FORMATS:
        raise BadInput(f"unknown format {config.format!r}: expected one of {', '.join(FORMATS)}")
    check_ranges(config)
    _question(config.sql)


def run(lake: Lake, config: Config, out: TextIO) -> None:
    """Print the answer to ``config.sql`` on ``out``."""
    check(config)
    writer, question = FORMATS[config.format], _question(config.sql)
    names = lake.register()
    try:
        answer = lake.spark.sql(question).limit(config.limit + 1)
        rows = [list(row) for row in answer.collect()]
    except PySparkException as error:
        raise BadInput(f"{cause(error)} (tables: {', '.join(names) or 'none yet'})") from error
    writer(answer.columns, rows[: config.limit], out)
    if len(rows) > config.limit:
        print(f"note: only the first {config.limit:,} rows are shown: see --limit", file=sys.stderr)


def _question(sql: str) -> str:
    """Return ``sql`` as what can only be read; raise BadInput for what is no question."""
    question = sql.rstrip().rstrip(";")
    first = re.match(r"\w*", question[_BEFORE.match(question).end() :])[0].lower()  # type: ignore[union-attr, index]
    if first not in _QUESTIONS:
        raise BadInput("only questions are asked here: start with SELECT, WITH, SHOW, DESCRIBE or EXPLAIN")
    # In a subquery nothing can be written, whatever the words in front of it are.
    return question if first in _PLAIN else f"SELECT * FROM (\n{question}\n)"  # noqa: S608 # it is the user's own SQL


def _print_table(names: Sequence[str], rows: Iterable[Sequence[Any]], out: TextIO) -> None:
    cells = [[_shown(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    for line in (list(names), ["-" * width for width in widths], *cells):
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip(), file=out)
    print(f"({len(cells):,} rows)", file=out)


def _print_csv(names: Sequence[str], rows: Iterable[Sequence[Any]], out: TextIO) -> None:
    writer = csv.writer(out)
    writer.writerow(names)
    writer.writerows([_harmless(_plain(value)) for value in row] for row in rows)


def _print_json(names: Sequence[str], rows: Iterable[Sequence[Any]], out: TextIO) -> None:
    twice = next((name for name in names if list(names).count(name) > 1), None)
    if twice is not None:
        raise BadInput(f"two columns are called {twice!r}: rename one with AS, or use --format csv")
    for row in rows:
        print(_json(dict(zip(names, row, strict=True))), file=out)


def _json(value: Any) -> str:
    return json.dumps(_jsonable(value), ensure_ascii=False)


def _jsonable(value: Any) -> Any:
    """Return ``value`` in JSON's own types: structs are objects, bytes are counted, what has no type is text."""
    if isinstance(value, Row):
        value = value.asDict()
    if isinstance(value, dict):
        return {str(_jsonable(name)): _jsonable(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, bytes | bytearray):
        return _counted(value)
    return value if isinstance(value, int | float | str) or value is None else str(value)


def _counted(value: bytes | bytearray) -> str:
    return f"<{len(value):,} bytes>"


def _shown(value: Any) -> str:
    """One line of at most 60 characters, without the control characters that could play tricks with a terminal."""
    text = "NULL" if value is None else str(_plain(value))
    text = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    return text if len(text) <= 60 else text[:59] + "…"


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return _counted(value)
    if isinstance(value, list | tuple | dict):
        return _json(value)
    return value if isinstance(value, int | float | str | bool) or value is None else str(value)


def _harmless(value: Any) -> Any:
    """Put an apostrophe before a text that a spreadsheet would run as a formula."""
    is_formula = isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") and not _is_number(value)
    return f"'{value}" if is_formula else value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


FORMATS: Final[dict[str, Callable[[Sequence[str], Iterable[Sequence[Any]], TextIO], None]]] = {
    "table": _print_table,
    "csv": _print_csv,
    "json": _print_json,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Ask from the command line. No lock is taken and no run is recorded: a question changes nothing."""
    config = parse(Config, argv, prog="query_lakehouse")
    logs = logs_folder(config.lake)
    try:
        check_lake(normal_root(config.lake))
        check(config)
        lake = open_lake(config.lake, spark=connect("query_lakehouse", logs=logs), tables=TABLES, run_id="")
        run(lake, config, sys.stdout)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("query_lakehouse: stopped", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever reads has enough, as `head` does. What is left must not be tried again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        print(f"error: {explain(error, logs)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
