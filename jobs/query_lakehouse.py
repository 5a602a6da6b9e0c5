"""Ask SQL of the lake: `python -m jobs.query_lakehouse "SELECT ..."` prints a table, CSV or JSON."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, TextIO

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import DataFrame

from lakehouse.cli import POSITIONAL, parse
from lakehouse.errors import BadInput
from lakehouse.lake import MARK, Lake, open_lake
from lakehouse.lake_root import is_local, normal_root
from lakehouse.outcome import explain, logs_folder
from lakehouse.session import connect
from schemas import TABLES


@dataclass(frozen=True)
class Config:
    """Ask a question of the lake's tables by their names: bronze.pairs, silver.signals, gold.captions, ops.runs ..."""

    sql: Annotated[str, "a SELECT", POSITIONAL]
    lake: Annotated[str, "root of the lakehouse: a folder or a bucket"] = "build/demo/lake"
    format: Annotated[str, "table, csv or json (one object a line)"] = "table"
    limit: Annotated[int, "most rows to print"] = 1000


def run(lake: Lake, config: Config, out: TextIO) -> None:
    """Print the answer to ``config.sql`` on ``out``."""
    writer = FORMATS.get(config.format)
    if writer is None:
        raise BadInput(f"unknown format {config.format!r}: expected one of {', '.join(FORMATS)}")
    answer = _asked(lake, config.sql).limit(config.limit + 1)
    rows = [list(row) for row in answer.collect()]
    writer(answer.columns, rows[: config.limit], out)
    if len(rows) > config.limit:
        print(f"note: only the first {config.limit:,} rows are shown: see --limit", file=sys.stderr)


def _asked(lake: Lake, sql: str) -> DataFrame:
    names = lake.register()
    if not sql.lstrip(" (\n\t").lower().startswith(("select", "with", "show", "describe", "explain", "values", "from")):
        raise BadInput("only questions are asked here: start with SELECT, WITH, SHOW, DESCRIBE or EXPLAIN")
    # In a subquery nothing can be written, whatever the words in front of it are.
    is_plain = sql.lstrip().lower().startswith(("show", "describe", "explain"))
    try:
        return lake.spark.sql(sql if is_plain else f"SELECT * FROM (\n{sql.rstrip().rstrip(';')}\n)")  # noqa: S608 # it is the user's own SQL
    except (ParseException, AnalysisException) as error:
        first = str(error).strip().splitlines()[0]
        raise BadInput(f"{first} (tables: {', '.join(names) or 'none yet'})") from error


def _print_table(names: Sequence[str], rows: Iterable[Sequence[Any]], out: TextIO) -> None:
    cells = [[_shown(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    for line in (list(names), ["-" * width for width in widths], *cells):
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip(), file=out)
    print(f"({len(cells):,} rows)", file=out)


def _print_csv(names: Sequence[str], rows: Iterable[Sequence[Any]], out: TextIO) -> None:
    writer = csv.writer(out)
    writer.writerow(names)
    writer.writerows([_plain(value) for value in row] for row in rows)


def _print_json(names: Sequence[str], rows: Iterable[Sequence[Any]], out: TextIO) -> None:
    for row in rows:
        print(json.dumps(dict(zip(names, row, strict=True)), default=_plain, ensure_ascii=False), file=out)


def _shown(value: Any) -> str:
    """One line of at most 60 characters, without the control characters that could play tricks with a terminal."""
    text = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(_plain(value)))
    return text if len(text) <= 60 else text[:59] + "…"


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return f"<{len(value):,} bytes>"
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") and not _is_number(value):
        # A spreadsheet would run it as a formula.
        return "'" + value
    return value if isinstance(value, int | float | str | bool) or value is None else str(value)


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
        if is_local(config.lake) and not (Path(normal_root(config.lake)) / MARK).exists():
            raise BadInput(f"there is no lake at {normal_root(config.lake)!r}: make demo builds one")
        lake = open_lake(config.lake, spark=connect("query_lakehouse", logs=logs), tables=TABLES, run_id="")
        run(lake, config, sys.stdout)
    except Exception as error:
        print(f"error: {explain(error, logs)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
