"""Stand-ins for two classes that pyarrow dropped and petastorm 0.13.1 still asks it for.

Only what petastorm uses of them is here. They are put into petastorm's modules by ``lakehouse.stream.bridge``.
"""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.arrow import ArrowFSWrapper
from fsspec.implementations.local import LocalFileSystem

from lakehouse.stream.trusted_pickles import admit

Keys = list[str] | list[int]
Filter = tuple[str, str, Any]

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda value, values: value in values,
    "not in": lambda value, values: value not in values,
}


@dataclass(frozen=True)
class Partition:
    """One level of Hive-style folders: its column, and the values found as the folders' names have them, in order."""

    name: str
    folders: tuple[str, ...]

    @cached_property
    def keys(self) -> Keys:
        """The values, as numbers where all are numbers: ``month=01`` is month 1."""
        return _numbers(self.folders) or list(self.folders)

    @property
    def dictionary(self) -> pa.Array:
        """The values as an array."""
        return pa.array(self.keys)


class Partitions(list[Partition]):
    """The levels of folders, outermost first."""

    @property
    def partition_names(self) -> set[str]:
        """The columns that lie in folder names."""
        return {partition.name for partition in self}


class ParquetDatasetPiece:
    """One file, or one row group of it."""

    def __init__(
        self,
        path: str,
        open_file_func: Callable[[str], Any],
        row_group: int | None = None,
        partition_keys: Iterable[tuple[str, int]] = (),
    ) -> None:
        self.path = path
        self.open_file_func = open_file_func
        self.row_group = row_group
        self.partition_keys = list(partition_keys)

    def get_metadata(self) -> pq.FileMetaData:
        """Return the footer of the file."""
        with self.open_file_func(self.path) as file:
            return pq.read_metadata(file)

    def read(self, columns: Iterable[str] | None = None, partitions: Sequence[Partition] = ()) -> pa.Table:
        """Return the rows, with the columns that lie in folder names after those of the file."""
        wanted = None if columns is None else list(columns)
        with self.open_file_func(self.path) as file, pq.ParquetFile(file, page_checksum_verification=True) as parquet:
            groups = range(parquet.num_row_groups) if self.row_group is None else [self.row_group]
            table = _without_views(parquet.read_row_groups(list(groups), columns=wanted, use_threads=False))
        for level, (name, index) in enumerate(self.partition_keys):
            table = table.append_column(name, pa.repeat(pa.scalar(partitions[level].keys[index]), table.num_rows))
        return table


class ParquetDataset:
    """Parquet files under a folder, or in a list, with the attributes that petastorm reads.

    A dataset given in place of a path is used as it is. What holds pickles that may not be opened is refused when the
    schema is asked for: see ``lakehouse.stream.trusted_pickles``.
    """

    def __new__(cls, path_or_paths: Any, *_: Any, **__: Any) -> Any:  # noqa: D102
        return path_or_paths if hasattr(path_or_paths, "pieces") else super().__new__(cls)

    def __init__(
        self,
        path_or_paths: str | list[str],
        filesystem: Any = None,
        validate_schema: bool = False,
        metadata_nthreads: int = 1,
        filters: Sequence[Filter] | Sequence[Sequence[Filter]] | None = None,
    ) -> None:
        self.paths = path_or_paths
        self.fs = _with_listing(filesystem)
        self._filters = filters
        if isinstance(path_or_paths, str) and not self.fs.exists(path_or_paths):
            raise FileNotFoundError(f"no such file or folder: {path_or_paths!r}")
        if not self.pieces:
            raise OSError(f"no Parquet files in {path_or_paths!r}")

    @cached_property
    def metadata(self) -> pq.FileMetaData | None:
        """What ``_metadata`` says, if there is one: the row groups of all files."""
        return self._summary(self.metadata_path)

    @cached_property
    def common_metadata(self) -> pq.FileMetaData | None:
        """What ``_common_metadata`` says, if there is one: the schema, and what petastorm keeps beside it."""
        return self._summary(self.common_metadata_path)

    @property
    def metadata_path(self) -> str | None:
        """The path of ``_metadata``, or None."""
        return self._path_of("_metadata")

    @property
    def common_metadata_path(self) -> str | None:
        """The path of ``_common_metadata``, or None."""
        return self._path_of("_common_metadata")

    @property
    def partitions(self) -> Partitions | None:
        """The levels of folders, or None where there are none."""
        return self._partitions or None

    @cached_property
    def pieces(self) -> list[ParquetDatasetPiece]:
        """The files that the filters leave, as many pieces."""
        pieces = [ParquetDatasetPiece(file, self.fs.open, None, self._indexed(levels)) for file, levels in self._files]
        return [piece for piece in pieces if self._is_wanted(piece)]

    @cached_property
    def _root(self) -> str | None:
        path = self.paths
        return path.rstrip("/") if isinstance(path, str) and self.fs.isdir(path) else None

    @cached_property
    def _files(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """Each file with the columns and values in the names of its folders; one that is named twice is there twice."""
        if self._root is None:
            return [(path, []) for path in ([self.paths] if isinstance(self.paths, str) else self.paths)]
        slash = "/" if self._root.startswith("/") else ""
        found = []
        for path in sorted(slash + path.lstrip("/") for path in self.fs.find(self._root)):
            *folders, name = path[len(self._root) :].strip("/").split("/")
            hidden = [part for part in folders if part.startswith((".", "_")) and "=" not in part]
            if not hidden and not name.startswith((".", "_")) and not name.endswith(".crc"):
                levels = [(key, value) for key, sign, value in (part.partition("=") for part in folders) if sign]
                found.append((path, levels))
        return found

    @cached_property
    def _partitions(self) -> Partitions:
        levels = self._files[0][1] if self._files else []
        return Partitions(
            Partition(name, _in_order({file_levels[depth][1] for _, file_levels in self._files}))
            for depth, (name, _) in enumerate(levels)
        )

    def _indexed(self, levels: list[tuple[str, str]]) -> list[tuple[str, int]]:
        return [(name, self._partitions[depth].folders.index(value)) for depth, (name, value) in enumerate(levels)]

    def _is_wanted(self, piece: ParquetDatasetPiece) -> bool:
        if not self._filters:
            return True
        values = {name: self._partitions[depth].keys[index] for depth, (name, index) in enumerate(piece.partition_keys)}
        choices: Any = self._filters if isinstance(self._filters[0], list) else [self._filters]
        return any(all(_meets(values, term) for term in terms) for terms in choices)

    def _path_of(self, summary: str) -> str | None:
        path = f"{self._root}/{summary}"
        return path if self._root and self.fs.exists(path) else None

    def _summary(self, path: str | None) -> pq.FileMetaData | None:
        if path is None:
            return None
        with self.fs.open(path) as file:
            metadata = pq.read_metadata(file)
        pairs = {**(metadata.schema.to_arrow_schema().metadata or {}), **(metadata.metadata or {})}
        protocol = getattr(self.fs, "protocol", "unknown")
        protocols = [protocol] if isinstance(protocol, str) else protocol
        admit(path, place=[f"{name}://{self._root}" for name in protocols], metadata=pairs)
        return metadata


def _without_views(table: pa.Table) -> pa.Table:
    """Return the table with views as large texts and bytes: pyarrow 26 can take no rows of a column of views."""
    kinds = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
    if not any(field.type in kinds for field in table.schema):
        return table
    fields = [field.with_type(kinds.get(field.type, field.type)) for field in table.schema]
    return table.cast(pa.schema(fields, table.schema.metadata))


def _with_listing(filesystem: Any) -> Any:
    if filesystem is None:
        return LocalFileSystem()
    return filesystem if hasattr(filesystem, "isdir") else ArrowFSWrapper(filesystem)


def _in_order(folders: set[str]) -> tuple[str, ...]:
    """Return the values of folders from the least to the greatest, by what they are worth where all are numbers."""
    names = sorted(folders)
    numbers = _numbers(names) or [0] * len(names)
    return tuple(name for _, name in sorted(zip(numbers, names, strict=True)))


def _numbers(values: Sequence[str]) -> list[int]:
    """Return the values as numbers; an empty list unless all of them are."""
    try:
        return [int(value) for value in values]
    except ValueError:
        return []


def _meets(values: Mapping[str, str | int], term: Filter) -> bool:
    column, sign, wanted = term
    if column not in values:
        return True  # a filter on a column inside the files is the reader's business, not the listing's
    value = values[column]
    same = wanted if isinstance(wanted, list | set | tuple) else type(value)(wanted)
    return _OPERATORS[sign](value, same)
