"""Append a few rows to a table without Spark: what a trainer, which has no JVM, has to say of its run."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

import deltalake
import pyarrow as pa

from lakehouse.table import Table

_TYPES: Final[Mapping[str, pa.DataType]] = {
    "STRING": pa.string(),
    "INT": pa.int32(),
    "BIGINT": pa.int64(),
    "FLOAT": pa.float32(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "BINARY": pa.binary(),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
    "ARRAY<STRING>": pa.list_(pa.string()),
    "ARRAY<INT>": pa.list_(pa.int32()),
    "MAP<STRING, BIGINT>": pa.map_(pa.string(), pa.int64()),
}


def arrow_schema(table: Table) -> pa.Schema:
    """Return the Arrow schema of ``table``, with the comments of its columns."""
    return pa.schema(
        pa.field(column.name, _TYPES[column.type], column.nullable, metadata={"comment": column.comment})
        for column in table.columns
    )


def append_rows(root: str, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append ``rows`` to ``table`` of the lake at ``root``, made if it is not there.

    A key that a row lacks is null. A nullable column that the table does not have yet is added to it.
    """
    path = table_path(root, table)
    made = pa.Table.from_pylist([dict(row) for row in rows], schema=_schema_at(path, table))
    deltalake.write_deltalake(
        path, made, mode="append", schema_mode="merge", name=table.name, description=table.comment
    )


def _schema_at(path: str, table: Table) -> pa.Schema:
    """Return the schema of ``table``; columns that are there keep the comments that they were made with."""
    declared = arrow_schema(table)
    if not deltalake.DeltaTable.is_deltatable(path):
        return declared
    # deltalake refuses to merge a column whose comment was since put into other words.
    there = pa.schema(deltalake.DeltaTable(path).schema().to_arrow())
    return pa.schema(
        field.with_metadata(there.field(field.name).metadata) if field.name in there.names else field
        for field in declared
    )


def read_rows(root: str, table: Table) -> list[dict[str, Any]]:
    """Return all rows of ``table``, which must be a small one; none where it was never written.

    Of a nullable column that the table does not have yet, every row has null.
    """
    path = table_path(root, table)
    if not deltalake.DeltaTable.is_deltatable(path):
        return []
    rows: list[dict[str, Any]] = deltalake.DeltaTable(path).to_pyarrow_table().to_pylist()
    return [dict.fromkeys(table.nullable_names) | row for row in rows]


def version_of(root: str, table: Table) -> int | None:
    """Return the newest Delta version of ``table``, or None where it was never written."""
    path = table_path(root, table)
    return deltalake.DeltaTable(path).version() if deltalake.DeltaTable.is_deltatable(path) else None


def table_path(root: str, table: Table) -> str:
    """Return where ``table`` lies, as readers outside Spark write it: ``s3://`` for what Spark calls ``s3a://``."""
    plain = root.replace("s3a://", "s3://", 1)
    return os.path.join(plain, *table.name.split("."))
