"""The folder of an export: whose it is, which of its files are whole, and how many rows each has."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from lakehouse.errors import BadInput
from lakehouse.files import write_whole

# Hidden: datasets would take a folder with more JSON than Parquet for one of JSON.
SETTINGS, WRITTEN = ".export.json", ".written.jsonl"
SIZES = "sizes.json"
"""Rows of each shard by its name: open_clip looks there for the length of an epoch."""


@dataclass(frozen=True)
class Written:
    """A file that is whole: its rows, and how many of those that it was to have were left out, by reason."""

    file: str
    rows: int
    skipped: Mapping[str, int]


@dataclass(frozen=True)
class Folder:
    """A folder that holds one export and nothing else."""

    path: Path

    @contextmanager
    def whole(self, name: str) -> Iterator[BinaryIO]:
        """Give a file to write to that has its name only when the block has ended without an error."""
        part = self.path / f".{name}.part"
        with part.open("wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        os.replace(part, self.path / name)

    def written(self) -> dict[str, Written]:
        """Return by name the files that are there and were recorded as whole."""
        try:
            lines = (self.path / WRITTEN).read_text().splitlines()
        except FileNotFoundError:
            return {}
        known = [Written(**one) for line in lines if (one := _parsed(line)) is not None]
        return {one.file: one for one in known if (self.path / one.file).exists()}

    def record(self, written: Written) -> None:
        """Remember that a file is whole: after it has its name, so that a kill in between only writes it again."""
        with (self.path / WRITTEN).open("a") as out:
            out.write(json.dumps(asdict(written)) + "\n")
            out.flush()
            os.fsync(out.fileno())

    def write_sizes(self, written: Mapping[str, Written]) -> None:
        """Write how many rows each file has."""
        sizes = {name: written[name].rows for name in sorted(written)}
        write_whole(self.path / SIZES, json.dumps(sizes, indent=1) + "\n")


def open_folder(path: Path, settings: Mapping[str, Any]) -> Folder:
    """Return the folder at ``path``, made if it is not there, for an export with these settings.

    Raise BadInput where it holds another export, or anything else: files of two exports must never be read as one.
    """
    file = path / SETTINGS
    try:
        path.mkdir(parents=True, exist_ok=True)
        there = {one.name for one in path.iterdir()}
    except OSError as error:
        raise BadInput(f"cannot use {str(path)!r} for an export: {error.strerror}") from error
    if SETTINGS in there:
        _check(path, _parsed(file.read_text()), settings)
    elif there - {f".{SETTINGS}.part"}:
        raise BadInput(f"{str(path)!r} is not empty and holds no export, but {min(there)!r}: choose another --out")
    else:
        write_whole(file, json.dumps(settings) + "\n")
    for part in path.glob(".*.part"):
        part.unlink()
    return Folder(path)


def _check(path: Path, known: dict[str, Any] | None, settings: Mapping[str, Any]) -> None:
    if known is None:
        raise BadInput(f"cannot read {SETTINGS!r} in {str(path)!r}: choose another --out")
    # As JSON has them: a tuple comes back as a list.
    asked = json.loads(json.dumps(settings))
    other = [name for name in {**asked, **known} if asked.get(name) != known.get(name)]
    if other:
        name = other[0]
        raise BadInput(
            f"{str(path)!r} holds an export with {name}={known.get(name)!r}, not {asked.get(name)!r}: "
            "choose another --out, or remove it"
        )


def _parsed(line: str) -> dict[str, Any] | None:
    """Return a line of JSON; None for one that a kill cut off."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
