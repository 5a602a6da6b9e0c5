"""How a command ends: done with a summary, or failed with one clear line that says what to do."""

import re
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lakehouse.errors import LakehouseError
from lakehouse.lake_root import is_local, normal_root

Counts = Mapping[str, int]
"""Rows by what happened to them."""


def finish(name: str, lake: str, work: Callable[[str | None], Counts]) -> int:
    """Return the exit code of ``work``, which is given the folder for logs, and print its summary or its one error."""
    logs = logs_folder(lake)
    try:
        counts = work(logs)
    except KeyboardInterrupt:
        print(f"{name}: stopped; run it again to go on from here", file=sys.stderr)
        return 1
    except Exception as error:
        print(f"error: {explain(error, logs)}", file=sys.stderr)
        return 1
    print(summary(name, counts))
    return 0


def logs_folder(lake: str) -> str | None:
    """Return where a local lake keeps Spark's log and the details of errors; None for a bucket."""
    return f"{normal_root(lake)}/_logs" if is_local(lake) else None


def summary(job: str, counts: Mapping[str, Any]) -> str:
    """Return the job's last line.

    >>> summary("measure_pairs", {"measured": 8059, "rejected": 0})
    'measure_pairs: 8,059 measured, 0 rejected'
    """
    shown = {name: count for name, count in counts.items() if name != "rows"}
    return f"{job}: " + (", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in shown.items()) or "nothing new")


def explain(error: BaseException, logs: str | None = None) -> str:
    """Return ``error`` as one line that says what to do; what is not foreseen goes, whole, to the folder ``logs``."""
    if isinstance(error, LakehouseError):
        return str(error)
    text = f"{type(error).__name__}: {error}"
    # A worker's own error reaches the driver as text inside a Java exception.
    ours = re.search(r"lakehouse\.errors\.\w+: (.+)", text)
    if ours:
        return ours[1].strip()
    if "No space left on device" in text or "Disk quota exceeded" in text:
        return f"the disk is full{_place(text)}: free some space and run again; tables are as they were before"
    if isinstance(error, ModuleNotFoundError):
        return f"{error.name} is not installed: install the extra that brings it (README, Installing)"
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return f"{first[:300]}{_keep(error, logs)}"


def _place(text: str) -> str:
    found = re.search(r"(/[^\s:'\"]+)[^/\n]{0,80}(?:No space left|Disk quota)", text)
    return f" at {found[1]}" if found else ""


def _keep(error: BaseException, logs: str | None) -> str:
    if logs is None:
        return ""
    file = Path(logs) / "errors.log"
    try:
        with file.open("a") as handle:
            handle.writelines(traceback.format_exception(error))
    except OSError:
        return ""
    return f" (details: {file})"
