"""How many rows of each row group an epoch takes: known before it begins, so that all processes agree on its length."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from lakehouse.errors import StreamError
from lakehouse.stream.delta import Mask, Snapshot
from lakehouse.stream.faults import CORRUPT_FILE, CORRUPT_ROW_GROUP, Fault, is_corruption
from lakehouse.stream.predicate import COLUMNS, Predicate

_NEVER_YOUNGER = frozenset(("sample_id", "image_id", "image", "tag_ids", *COLUMNS))
"""What every row of a release has had from the first: a file without such a column is not the table's."""


@dataclass(frozen=True)
class Group:
    """A row group: its file, its place there, and where its rows begin in the file."""

    file: str
    row_group: int
    offset: int
    length: int


@dataclass(frozen=True, eq=False)
class Plan:
    """The row groups of a snapshot and how many rows of each meet a predicate.

    Attributes:
        rows: selected rows, a number a group
        unreadable: what was left out because its bytes are damaged, with the rows that it held
    """

    snapshot: Snapshot
    predicate: Predicate
    groups: tuple[Group, ...] = field(repr=False)
    rows: npt.NDArray[np.int64] = field(repr=False)
    unreadable: tuple[tuple[Fault, int], ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """The readable files, in order."""
        return tuple(dict.fromkeys(group.file for group in self.groups))

    def is_whole(self, index: int) -> bool:
        """Return whether all rows of the group at ``index`` are selected, so that none need be looked at again."""
        return int(self.rows[index]) == self.groups[index].length

    def keep(self, group: Group, table: pa.Table) -> Mask:
        """Return which rows of the group, read as ``table``, are selected: not deleted and meeting the predicate."""
        return self.predicate.holds(table) & self.snapshot.left_of(group.file, group.offset, group.length)


@dataclass(frozen=True)
class _FilePlan:
    groups: tuple[Group, ...] = ()
    rows: tuple[int, ...] = ()
    unreadable: tuple[tuple[Fault, int], ...] = ()


def make_plan(snapshot: Snapshot, predicate: Predicate, *, threads: int) -> Plan:
    """Return the plan of a snapshot. Reads every footer and the columns that the predicate names.

    A missing file raises. Damaged bytes do not: they are the same for every process, which all leave out the same.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="plan") as executor:
        files = list(executor.map(partial(_plan_file, snapshot, predicate), snapshot.files))
    return Plan(
        snapshot,
        predicate,
        groups=tuple(group for file in files for group in file.groups),
        rows=np.array([count for file in files for count in file.rows], np.int64),
        unreadable=tuple(fault for file in files for fault in file.unreadable),
    )


def read_group(snapshot: Snapshot, parquet: pq.ParquetFile, group: Group, columns: Iterable[str]) -> pa.Table | Fault:
    """Return columns of a row group as ``read_columns`` does; a Fault where its bytes are damaged."""
    try:
        return read_columns(snapshot, parquet, group, columns)
    except (OSError, pa.ArrowException) as error:
        if not is_corruption(error):
            raise
        return Fault(CORRUPT_ROW_GROUP, str(error), group.file, group.row_group)


def read_columns(snapshot: Snapshot, parquet: pq.ParquetFile, group: Group, columns: Iterable[str]) -> pa.Table:
    """Return columns of a row group, each once, deleted rows included.

    A text column that is younger than the file is null there, as Delta has it. Raises StreamError for a column that
    the table lacks, and ArrowInvalid where the file is another table's.
    """
    wanted, schema, names = list(dict.fromkeys(columns)), snapshot.schema, parquet.schema_arrow.names
    unknown = [column for column in wanted if column not in schema.names]
    if unknown:
        raise StreamError(f"no column {unknown[0]!r} in {snapshot.table}: expected one of {', '.join(schema.names)}")
    missing = [column for column in wanted if column not in names]
    if missing and (not set(names) <= set(schema.names) or set(missing) & _NEVER_YOUNGER):
        raise pa.ArrowInvalid(f"columns {names} instead of {schema.names}")
    there = [column for column in wanted if column in names]
    table = parquet.read_row_group(group.row_group, columns=there, use_threads=False)
    for column in missing:
        table = table.append_column(column, pa.nulls(table.num_rows, schema.field(column).type))
    return table.select(wanted)


def _plan_file(snapshot: Snapshot, predicate: Predicate, file: str) -> _FilePlan:
    try:
        with snapshot.open(file) as parquet:
            counted = list(_counted(snapshot, predicate, file, parquet))
    except (OSError, pa.ArrowException) as error:
        if not is_corruption(error) or file not in snapshot.records:
            raise StreamError(f"cannot read {file!r}: {error}") from error
        return _FilePlan(unreadable=((Fault(CORRUPT_FILE, str(error), file), snapshot.records[file]),))
    return _FilePlan(
        groups=tuple(group for group, _, _ in counted),
        rows=tuple(rows for _, rows, _ in counted),
        unreadable=tuple((fault, group.length) for group, _, fault in counted if fault),
    )


def _counted(
    snapshot: Snapshot, predicate: Predicate, file: str, parquet: pq.ParquetFile
) -> Iterator[tuple[Group, int, Fault | None]]:
    for group in _groups(file, parquet.metadata):
        left = snapshot.left_of(group.file, group.offset, group.length)
        if not predicate.columns:
            yield group, int(left.sum()), None
            continue
        found = read_group(snapshot, parquet, group, predicate.columns)
        if isinstance(found, Fault):
            yield group, 0, found
        else:
            yield group, int((predicate.holds(found) & left).sum()), None


def _groups(file: str, metadata: pq.FileMetaData) -> Iterator[Group]:
    lengths = [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]
    for index, (offset, length) in enumerate(zip(accumulate(lengths, initial=0), lengths, strict=False)):
        yield Group(file, index, offset, length)
