"""Texts as petastorm's batches give them."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.stream import bridge  # noqa: F401 # before petastorm

from petastorm import make_batch_reader  # isort: skip

WIDTHS = [pa.string(), pa.large_string(), pa.string_view()]


def texts_read(folder: Path, values: list[str | None], kind: pa.DataType) -> Any:
    pq.write_table(pa.table({"text": pa.array(values, kind)}), folder / "a.parquet")
    with make_batch_reader(folder.as_uri(), reader_pool_type="dummy") as reader:
        (batch,) = reader
        return batch.text


@pytest.mark.parametrize("kind", WIDTHS, ids=str)
def test_texts_of_any_width_are_texts(tmp_path: Path, kind: pa.DataType) -> None:
    found = texts_read(tmp_path, ["a", "bb"], kind)
    assert (found.dtype.kind, found.tolist()) == ("U", ["a", "bb"])


@pytest.mark.parametrize("kind", WIDTHS, ids=str)
def test_a_null_stays_a_null(tmp_path: Path, kind: pa.DataType) -> None:
    assert texts_read(tmp_path, ["a", None], kind).tolist() == ["a", None]


def test_bytes_of_any_width_are_bytes(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": pa.array([b"a", b"b"], pa.large_binary())}), tmp_path / "a.parquet")
    with make_batch_reader(tmp_path.as_uri(), reader_pool_type="dummy") as reader:
        assert reader.schema.image.numpy_dtype is np.bytes_
        assert [batch.image.tolist() for batch in reader] == [[b"a", b"b"]]


def test_a_file_that_is_named_twice_is_read_twice(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1, 2]}), tmp_path / "a.parquet")
    with make_batch_reader([(tmp_path / "a.parquet").as_uri()] * 2, reader_pool_type="dummy") as reader:
        assert [batch.id.tolist() for batch in reader] == [[1, 2], [1, 2]]
