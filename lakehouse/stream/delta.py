"""A pinned version of a Delta table as files and rows that are left, read without a JVM."""

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from pyarrow import fs

from lakehouse.errors import StreamError
from lakehouse.stream.stores import open_store

Mask = npt.NDArray[np.bool_]

_LONGEST_MESSAGE = 400


@dataclass(frozen=True)
class Snapshot:
    """The live files of one version of a Delta table.

    Attributes:
        table: where the table is, for messages
        version: the Delta version
        files: path in ``filesystem`` of every live file, in the order of their names
        left: for a file with a deletion vector, which of its rows are left
        schema: the table's columns
        records: rows of each file as the Delta log counts them, deleted ones included; absent where it does not
    """

    table: str
    version: int
    filesystem: fs.FileSystem
    files: tuple[str, ...]
    left: Mapping[str, Mask] = field(repr=False)
    schema: pa.Schema = field(repr=False)
    records: Mapping[str, int] = field(repr=False)

    def open(self, file: str) -> pq.ParquetFile:
        """Return the open file; reads from it verify page checksums. Raise where VACUUM has taken the file away."""
        try:
            return pq.ParquetFile(
                self.filesystem.open_input_file(file), page_checksum_verification=True, pre_buffer=True
            )
        except FileNotFoundError:
            raise StreamError(
                f"{file!r} of version {self.version} of {self.table} is gone, as after VACUUM: "
                "restore it, or make a release of a version that is still there"
            ) from None

    def tables(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the rows that are left, a table a file."""
        for file in self.files:
            with self.open(file) as parquet:
                table = parquet.read(columns=list(columns), use_threads=False)
            yield table.filter(pa.array(self.left_of(file, 0, table.num_rows))) if file in self.left else table

    def left_of(self, file: str, offset: int, length: int) -> Mask:
        """Return which of ``length`` rows of a file, from row ``offset`` on, are not deleted."""
        known = self.left.get(file, np.ones(0, np.bool_))[offset : offset + length]
        # A vector may end with the last deleted row: the rows behind it are live.
        return np.concatenate((known, np.ones(length - len(known), np.bool_)))


def open_snapshot(table: str, version: int | None, storage_options: Mapping[str, str] | None = None) -> Snapshot:
    """Return version ``version`` of the Delta table at ``table``, or its newest where that is None.

    ``storage_options`` are those of the ``deltalake`` package.
    """
    try:
        delta = DeltaTable(table, version=version, storage_options=dict(storage_options or {}) or None)
        deleted = pa.table(delta.deletion_vectors())
        added = pa.table(delta.get_add_actions())
    except TableNotFoundError:
        raise StreamError(f"no Delta table at {table!r}") from None
    except (DeltaError, OSError) as error:
        what = "the newest version" if version is None else f"version {version}"
        raise StreamError(f"cannot open {what} of {table!r}: {_in_one_line(error)}") from error
    filesystem, root = open_store(delta.table_uri, storage_options)
    # The log's own names: deltalake's file_uris() decodes them on a disk, and in a bucket does not.
    paths = [_path(root, name) for name in added.column("path").to_pylist()]
    files = tuple(sorted(paths))
    return Snapshot(
        table=table,
        version=delta.version(),
        filesystem=filesystem,
        files=files,
        left=dict(_masks(deleted, root, delta.table_uri, set(files))),
        schema=pa.schema(delta.schema().to_arrow()),
        records=dict(_records(paths, added)),
    )


def _in_one_line(error: Exception) -> str:
    """Return what deltalake says, from the outermost cause inwards, without its colours and arrows."""
    lines = re.sub(r"\x1b\[[0-9;]*m|\u21b3", "", str(error)).splitlines()
    said = ": ".join(line.strip() for line in lines if line.strip())
    return (said or type(error).__name__)[:_LONGEST_MESSAGE]


def _masks(deleted: pa.Table, root: str, uri: str, files: Set[str]) -> Iterator[tuple[str, Mask]]:
    vectors = deleted.column("selection_vector")
    for index, name in enumerate(deleted.column("filepath").to_pylist()):
        file = _path(root, name.removeprefix(uri).lstrip("/"))
        if file not in files:
            raise StreamError(f"deleted rows of {file!r}, which is not a file of the table: they would come back")
        yield file, vectors[index].values.to_numpy(zero_copy_only=False)


def _records(paths: Sequence[str], added: pa.Table) -> Iterator[tuple[str, int]]:
    if "num_records" not in added.column_names:
        return
    for path, count in zip(paths, added.column("num_records").to_pylist(), strict=True):
        if count is not None:
            yield path, count


def _path(root: str, name: str) -> str:
    """Return where a file lies that the log names by its percent-encoded path, from the root or, in a clone, whole."""
    return unquote(name.split("://", 1)[1]) if "://" in name else f"{root}/{unquote(name)}"
