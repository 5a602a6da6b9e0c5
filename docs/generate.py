"""Write docs/tables.md and docs/jobs.md from the code, or check that they are current: `python -m docs.generate`."""

import sys
from dataclasses import MISSING, fields
from importlib import import_module
from pathlib import Path
from typing import get_args, get_type_hints

from jobs.__main__ import jobs
from lakehouse.cli import POSITIONAL
from lakehouse.table import Table
from schemas import TABLES

_HERE = Path(__file__).parent


def tables_page() -> str:
    """Return the data dictionary as Markdown."""
    index = [f"| [`{t.name}`](#{t.name.replace('.', '')}) | {t.comment} |" for t in TABLES]
    parts = [
        "# Tables",
        "Made by `make docs` from `schemas/`.",
        "\n".join(["| table | one row is |", "|---|---|", *index]),
    ]
    return "\n\n".join([*parts, *map(_table, TABLES)]) + "\n"


def _table(table: Table) -> str:
    rows = [
        f"| `{c.name}` | {c.type} | {'yes' if c.nullable else ''} | {c.comment.replace('|', chr(92) + '|')} |"
        for c in table.columns
    ]
    columns = "\n".join(["| column | type | may be null | meaning |", "|---|---|---|---|", *rows])
    checks = [f"- `{name}`: `{rule}`" for name, rule in table.checks.items()]
    rules = ["Every row meets:\n\n" + "\n".join(checks)] if checks else []
    key = ", ".join(f"`{name}`" for name in table.key)
    return "\n\n".join([f"## {table.name}", f"{table.comment}. Key: {key}.", columns, *rules])


def jobs_page() -> str:
    """Return the list of jobs, with their flags, as Markdown."""
    parts = [
        "# Jobs",
        "Made by `make docs` from `jobs/`. Each runs as `python -m jobs.NAME` or by `spark-submit jobs/NAME.py`.",
    ]
    return "\n\n".join([*parts, *(_job(name, line) for name, line in jobs())]) + "\n"


def _job(name: str, line: str) -> str:
    config = import_module(f"jobs.{name}").Config
    hints = get_type_hints(config, include_extras=True)
    rows = []
    for field in fields(config):
        _, help_text, *notes = get_args(hints[field.name])
        flag = field.name if POSITIONAL in notes else "--" + field.name.replace("_", "-")
        default = "required" if field.default is MISSING else f"`{field.default}`" if field.default != "" else ""
        rows.append(f"| `{flag}` | {default} | {help_text.replace('|', chr(92) + '|')} |")
    return "\n\n".join([f"## {name}", line, "\n".join(["| flag | default | meaning |", "|---|---|---|", *rows])])


def main(argv: list[str]) -> int:
    """Write the pages, or with --check say which are not current."""
    pages = {"tables.md": tables_page(), "jobs.md": jobs_page()}
    if "--check" in argv:
        stale = [name for name, text in pages.items() if not _is_current(name, text)]
        if stale:
            print(f"docs/{' and docs/'.join(stale)} are not current: run make docs", file=sys.stderr)
        return bool(stale)
    for name, text in pages.items():
        (_HERE / name).write_text(text)
    return 0


def _is_current(name: str, text: str) -> bool:
    file = _HERE / name
    return file.exists() and file.read_text() == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
