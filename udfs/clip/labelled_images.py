"""Images with a class each, to be told apart without training: a folder of class folders, or a table."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from lakehouse.errors import BadInput
from lakehouse.stream.delta import Snapshot, open_snapshot
from udfs.clip.suite_files import MAX_BYTES, digest_of, read_files

SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".webp", ".gif")
CLASS_NAMES: Final = "classnames.txt"

_BATCH = 256


@dataclass(frozen=True)
class Labelled:
    """Images by name, and what they are.

    Attributes:
        classes: their names, as they stand in a prompt
        labels: for each image, its place among the classes
        read: gives each image's name and bytes, None for a file that is too large
        digest: other images, classes or sizes of files, another digest
    """

    classes: tuple[str, ...]
    labels: dict[str, int]
    read: Callable[[], Iterator[tuple[str, bytes | None]]]
    digest: str


def read_labelled(path: Path, *, image_column: str, label_column: str) -> Labelled:
    """Return the images at ``path``: FOLDER/CLASS NAME/*.jpg, a Parquet file, or the folder of a Delta table."""
    if path.is_file() or (path / "_delta_log").is_dir():
        return _of_table(path, image_column, label_column)
    if not path.is_dir():
        raise BadInput(f"there is nothing at {str(path)!r}: expected a folder of class folders, or a table")
    return _of_folders(path)


def _of_folders(folder: Path) -> Labelled:
    folders = sorted(one for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))
    if not folders:
        raise BadInput(f"no class in {str(folder)!r}: expected {folder.name}/CLASS NAME/*.jpg")
    files = {
        one.name: [f"{one.name}/{file.name}" for file in sorted(one.iterdir()) if _is_image(file)] for one in folders
    }
    empty = [name for name, own in files.items() if not own]
    if empty:
        raise BadInput(
            f"{len(empty)} of {len(files)} classes in {str(folder)!r} have no image, such as {empty[0]!r}: "
            f"expected files that end in {', '.join(SUFFIXES)}"
        )
    labels = {name: place for place, own in enumerate(files.values()) for name in own}
    classes = _class_names(folder, list(files))
    return Labelled(classes, labels, lambda: read_files(folder, labels), digest_of(folder, labels, *classes))


def _is_image(file: Path) -> bool:
    return file.is_file() and file.suffix.lower() in SUFFIXES and not file.name.startswith(".")


def _class_names(folder: Path, names: Sequence[str]) -> tuple[str, ...]:
    """Return what the classes are called: by CLASS_NAMES, a line a class in the order of the folders, or as they are.

    >>> _class_names(Path("nowhere"), ["great_dane", "pug"])
    ('great dane', 'pug')
    """
    file = folder / CLASS_NAMES
    if not file.exists():
        return tuple(name.replace("_", " ") for name in names)
    lines = [line.strip() for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    if len(lines) != len(names):
        raise BadInput(f"{str(file)!r} has {len(lines)} lines: expected {len(names)}, one a class folder")
    return tuple(lines)


def _of_table(path: Path, image_column: str, label_column: str) -> Labelled:
    columns = _columns(path)
    for column in (image_column, label_column):
        if column not in columns:
            raise BadInput(f"no column {column!r} in {str(path)!r}: it has {', '.join(columns)}")
    given = list(_values(path, label_column))
    odd = next((one for one in given if one is not None and not isinstance(one, str)), None)
    if odd is not None:
        raise BadInput(f"bad label {odd!r} in column {label_column!r} of {str(path)!r}: expected the name of a class")
    classes = tuple(sorted({one for one in given if one and one.strip()}))
    if not classes:
        raise BadInput(f"no label in column {label_column!r} of {str(path)!r}: expected names of classes")
    places = {name: place for place, name in enumerate(classes)}
    labels = {f"row {row}": places[one] for row, one in enumerate(given) if one in places}
    folder, files = (path, _files(path)) if path.is_dir() else (path.parent, [path.name])
    names = [name for name, _ in sorted(labels.items())]
    digest = digest_of(folder, files, image_column, *names, *(classes[labels[name]] for name in names))
    return Labelled(classes, labels, lambda: _images(path, image_column, labels), digest)


def _images(path: Path, column: str, labels: dict[str, int]) -> Iterator[tuple[str, bytes | None]]:
    for row, value in enumerate(_values(path, column)):
        if (name := f"row {row}") in labels:
            data = _bytes(value)
            yield name, data if len(data) <= MAX_BYTES else None


def _files(table: Path) -> list[str]:
    """Return the Parquet files of a Delta table, in folders where it is partitioned; not those of its log."""
    files = (file.relative_to(table) for file in sorted(table.rglob("*.parquet")))
    return [str(file) for file in files if not file.parts[0].startswith("_")]


def _bytes(value: Any) -> bytes:
    """Return the bytes of an image: as they are, or as ``datasets`` keeps them, in a struct; none of a null."""
    data = value.get("bytes") if isinstance(value, dict) else value
    return data if isinstance(data, bytes) else b""


def _columns(path: Path) -> list[str]:
    return list(_snapshot(path).schema.names) if path.is_dir() else list(_parquet(path).schema_arrow.names)


def _values(path: Path, column: str) -> Iterator[Any]:
    """Yield a column of a table, a value a row."""
    if path.is_dir():
        yield from _of_delta(_snapshot(path), column)
        return
    with _parquet(path) as file:
        for batch in file.iter_batches(_BATCH, columns=[column]):
            yield from batch.column(0).to_pylist()


def _of_delta(snapshot: Snapshot, column: str) -> Iterator[Any]:
    """Yield a column of the rows that are left; where a file lacks it, its partition's value, or null."""
    partitions = _partitions(snapshot, column)
    for file in snapshot.files:
        with snapshot.open(file) as parquet:
            left = snapshot.left_of(file, 0, parquet.metadata.num_rows)
            is_there = column in parquet.schema_arrow.names
            read = parquet.read(columns=[column], use_threads=False) if is_there else None
        if read is None:
            yield from repeat(partitions.get(file), int(left.sum()))
        else:
            yield from read.column(0).filter(pa.array(left)).to_pylist()


def _partitions(snapshot: Snapshot, column: str) -> dict[str, Any]:
    """Return the value of ``column`` by file, where the table is partitioned by it: the log alone has it."""
    delta = DeltaTable(snapshot.table, version=snapshot.version)
    if column not in delta.metadata().partition_columns:
        return {}
    added = pa.table(delta.get_add_actions(flatten=True))
    root = unquote(delta.table_uri.split("://", 1)[-1]).rstrip("/")
    names = (name.split("://", 1)[1] if "://" in name else name for name in added.column("path").to_pylist())
    files = (str(PurePosixPath(root, unquote(name))) for name in names)
    return dict(zip(files, added.column(f"partition.{column}").to_pylist(), strict=True))


def _parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"cannot read {str(path)!r}: expected a Parquet file ({error})") from error


def _snapshot(path: Path) -> Snapshot:
    return open_snapshot(str(path), None)
