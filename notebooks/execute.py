"""Execute every notebook against a lake, and keep the executed copies: `python -m notebooks.execute`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from traitlets.config import Config as Settings

from lakehouse.cli import parse
from lakehouse.errors import BadInput
from lakehouse.lake_mark import check_lake
from lakehouse.lake_root import normal_root
from lakehouse.outcome import Counts, finish

FOLDER: Final = Path(__file__).parent
"""Where the notebooks lie; none of them holds an output."""

_SECONDS_A_CELL = 600
_PRIVATE = Settings({"KernelManager": {"transport": "ipc"}})
"""Sockets in the user's own folder: over TCP everybody on the machine could listen in."""


@dataclass(frozen=True)
class Config:
    """Execute every notebook against a lake; the notebooks themselves stay as they are."""

    lake: Annotated[str, "root of the lakehouse: a folder"] = "build/demo/lake"
    out: Annotated[str, "folder for the executed copies"] = "build/notebooks"


def notebooks() -> list[Path]:
    """Return every notebook, in order."""
    return sorted(FOLDER.glob("*.ipynb"))


def execute(file: Path, *, lake: str, out: Path) -> Path:
    """Execute one notebook in a process of its own and return its copy with outputs, which is kept on failure too.

    Raises BadInput, naming the cell, where one fails.
    """
    notebook = nbformat.read(file, as_version=4)
    _point_at(notebook, lake)
    out.mkdir(parents=True, exist_ok=True)
    # Notebooks import from the tree, as jobs do, whatever the folder that the command was given in.
    place = {"metadata": {"path": str(FOLDER.parent)}}
    client = NotebookClient(notebook, timeout=_SECONDS_A_CELL, kernel_name="python3", resources=place, config=_PRIVATE)
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        raise BadInput(f"{file.name} failed {_failure(notebook, error)} (see {out / file.name})") from error
    finally:
        nbformat.write(notebook, out / file.name)
    return out / file.name


def _point_at(notebook: nbformat.NotebookNode, lake: str) -> None:
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", ()):
            cell.source = f"LAKE = {normal_root(lake)!r}"


def _failure(notebook: nbformat.NotebookNode, error: Exception) -> str:
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.output_type == "error":
                return f"in cell {cell.id!r} with {output.ename}: {output.evalue.splitlines()[0]}"
    return f"with {type(error).__name__}: a cell may take {_SECONDS_A_CELL} s, and its process must stay alive"


def run(config: Config) -> Counts:
    """Execute all notebooks."""
    check_lake(normal_root(config.lake))
    for file in notebooks():
        print(execute(file, lake=config.lake, out=Path(config.out)))
    return {"executed": len(notebooks())}


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line; return 0 when done, 1 when failed with one line."""
    config = parse(Config, argv, prog="notebooks")
    return finish("notebooks", config.lake, lambda logs: run(config))


if __name__ == "__main__":
    sys.exit(main())
