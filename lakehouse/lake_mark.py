"""The file that says that a folder is a lake, and in which format: read without Spark."""

import json
from pathlib import Path

from lakehouse.errors import BadInput, NewerLake
from lakehouse.lake_root import is_local

FORMAT = 4
"""Version of a lake's layout, of tables and places. A lake of another one is refused: it would be misread.

A nullable column that is new needs no new version: older rows have null there, and the next row adds it to the table.
"""

MARK = "_lakehouse.json"
"""Name of the file at the root of a lake."""


def mark_text() -> str:
    """Return what stands in the file."""
    return json.dumps({"format": FORMAT})


def read_local_mark(root: str) -> str | None:
    """Return what stands in the file of the lake in the folder ``root``; None where there is none."""
    file = Path(root) / MARK
    try:
        return file.read_text(errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise BadInput(f"cannot read {str(file)!r}: {error.strerror}") from error


def check_mark(text: str, root: str) -> None:
    """Raise NewerLake if newer code wrote the lake at ``root``, BadInput if older code did or ``text`` is no mark."""
    try:
        mark = json.loads(text)
    except ValueError:
        mark = None
    if not isinstance(mark, dict) or not isinstance(mark.get("format"), int):
        raise BadInput(f"cannot read '{root}/{MARK}': expected {mark_text()}")
    if mark["format"] > FORMAT:
        raise NewerLake(
            f"{root!r} has format {mark['format']}, this version of the code knows up to {FORMAT}: update the code"
        )
    if mark["format"] < FORMAT:
        raise BadInput(f"{root!r} has format {mark['format']}, this version of the code {FORMAT}: build the lake anew")


def check_lake(root: str) -> None:
    """Raise BadInput unless the folder ``root`` is a lake, NewerLake if newer code wrote it; a bucket is not looked at.

    For jobs that need what others made: a mistyped path must not become a lake.
    """
    if not is_local(root):
        return
    text = read_local_mark(root)
    if text is None:
        raise BadInput(f"there is no lake at {root!r}: make demo builds one, ingest_pairs starts one")
    check_mark(text, root)
