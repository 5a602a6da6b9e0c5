"""Shards as Parquet that Hugging Face's ``datasets`` opens with an ``Image`` feature, and without being told."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lakehouse.export.rows import CAPTION

_STRING = {"dtype": "string", "_type": "Value"}
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_TAG_IDS = pa.list_(pa.int32())


def write_parquet(out: BinaryIO, tables: Iterable[pa.Table], texts: Sequence[str], source: pa.Schema) -> int:
    """Write the rows of ``tables`` as one file, a row group a table; return how many rows there were.

    ``source`` is the schema that the text columns ``texts`` come from: of it only matters which are lists.
    """
    schema, rows = schema_of(texts, source), 0
    # JPEGs do not become smaller.
    packed = {name: "none" if name.startswith("image.") else "snappy" for name in _paths(schema)}
    with pq.ParquetWriter(out, schema, compression=packed, write_page_checksum=True) as writer:
        for table in tables:
            rows += table.num_rows
            writer.write_table(_shaped(table, schema), row_group_size=table.num_rows)
    return rows


def schema_of(texts: Sequence[str], source: pa.Schema) -> pa.Schema:
    """Return the schema of a file, with what ``datasets`` is to take its columns for in the metadata."""
    kinds = {
        name: pa.list_(pa.string()) if pa.types.is_nested(source.field(name).type) else pa.string() for name in texts
    }
    columns = {"image": _IMAGE, CAPTION: pa.string(), "sample_id": pa.string(), "image_id": pa.string(), **kinds}
    schema = pa.schema({**columns, "tag_ids": _TAG_IDS})
    features = {field.name: _feature(field.type) for field in schema}
    return schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def _feature(kind: pa.DataType) -> dict[str, Any]:
    if kind == _IMAGE:
        return {"_type": "Image"}
    if pa.types.is_list(kind):
        # Sequence, not List: datasets before 4 knows no List, and later ones take the one for the other.
        return {"feature": _feature(kind.value_type), "_type": "Sequence"}
    return {**_STRING, "dtype": str(kind)}


def _shaped(table: pa.Table, schema: pa.Schema) -> pa.Table:
    names = pc.binary_join_element_wise(table.column("sample_id").cast(pa.string()), "jpg", ".")
    parts = [table.column("image").combine_chunks().cast(pa.binary()), names.combine_chunks()]
    image = pa.StructArray.from_arrays(parts, fields=list(_IMAGE))
    columns = [image if name == "image" else table.column(name).cast(schema.field(name).type) for name in schema.names]
    return pa.table(columns, schema=schema)


def _paths(schema: pa.Schema) -> list[str]:
    """Return the columns as Parquet names them, leaf by leaf."""
    empty = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), empty)
    leaves = pq.ParquetFile(pa.BufferReader(empty.getvalue())).schema
    return [leaves.column(index).path for index in range(len(leaves))]
