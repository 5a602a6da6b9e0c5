"""Mends how petastorm turns columns of text and bytes into arrays: wide ones are understood, a null stays a null."""

from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa


def _mend_types(unischema: ModuleType) -> None:
    original = unischema._numpy_and_codec_from_arrow_type

    def numpy_type(arrow_type: pa.DataType) -> Any:
        if _is_text(arrow_type):
            return np.str_
        if pa.types.is_large_binary(arrow_type) or pa.types.is_binary_view(arrow_type):
            return np.bytes_
        return original(arrow_type)

    unischema.__dict__["_numpy_and_codec_from_arrow_type"] = numpy_type


def _mend_texts(arrow_reader_worker: ModuleType) -> None:
    original = arrow_reader_worker.convert_arrow_table_to_numpy_dict

    def convert(result_table: pa.Table, schema: Any) -> dict[str, Any]:
        columns = dict(original(result_table, schema))
        for field in result_table.schema:
            if _is_text(field.type):
                columns[field.name] = _texts(result_table.column(field.name))
        return columns

    arrow_reader_worker.__dict__["convert_arrow_table_to_numpy_dict"] = convert


def _is_text(arrow_type: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_string(arrow_type) or types.is_large_string(arrow_type) or types.is_string_view(arrow_type))


def _texts(column: pa.ChunkedArray) -> Any:
    """Return an array of text, or one of objects where there are nulls: as text they would read 'None'."""
    values = np.array(column.to_pylist(), dtype=object)
    return values if column.null_count else values.astype(np.str_)


MENDS = {"petastorm.unischema": _mend_types, "petastorm.arrow_reader_worker": _mend_texts}
"""What mends which module."""
