"""Tars as a stream: only the new ones, in batches by bytes, and no broken one stops it."""

import gzip
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql.streaming.datasource import ReadAllAvailable, ReadMaxBytes

from lakehouse.sources import SOURCE_ROW, Columns, Limits, open_source
from lakehouse.sources.new_files import names_in
from lakehouse.sources.webdataset import TarPartition, WebDatasetReader
from tests.lakehouse.sources.made import batches_of, by_uid, image, put, read_new, tar_of


def pairs(count: int, *, size: int = 0) -> bytes:
    """Return a tar of ``count`` pairs; with ``size`` the images are as many bytes of noughts."""
    members = ((f"{n:04d}.png", bytes(size) or image(n), f"{n:04d}.txt", b"text %d" % n) for n in range(count))
    return tar_of(pair for png, data, txt, text in members for pair in ((png, data), (txt, text)))


@pytest.mark.spark
def test_a_tar_is_read_once_a_new_one_is_picked_up(spark: SparkSession, tmp_path: Path) -> None:
    tars, checkpoint = tmp_path / "ta rs", tmp_path / "checkpoint"
    put(tars, **{"00000.tar": pairs(2), "00002.tar": pairs(1)})
    stream = open_source(spark, str(tars))
    assert stream.schema == SOURCE_ROW
    rows = by_uid(read_new(stream, checkpoint))
    assert list(rows) == ["00000.tar/0000", "00000.tar/0001", "00002.tar/0000"]
    assert rows["00000.tar/0001"]["source"] == str(tars)
    assert rows["00000.tar/0001"]["image"] == image(1)
    assert read_new(open_source(spark, str(tars)), checkpoint) == []
    put(tars, **{"00001.tar": pairs(1), "sub/00003.tar": pairs(1)})
    again = read_new(open_source(spark, str(tars)), checkpoint)
    assert [row["source_uid"] for row in again] == ["00001.tar/0000", "sub/00003.tar/0000"]


@pytest.mark.spark
def test_broken_tars_are_rows_beside_good_ones(spark: SparkSession, tmp_path: Path) -> None:
    good = pairs(2)
    put(tmp_path / "t", **{"a.tar": good, "b.tar": b"", "c.tar": b"no tar", "d.tar": good[:1600], "e.tgz": b"no gzip"})
    put(tmp_path / "t", **{"f.tar.gz": gzip.compress(good)})
    rows = by_uid(read_new(open_source(spark, str(tmp_path / "t")), tmp_path / "checkpoint"))
    assert {uid: row["reason"] for uid, row in rows.items()} == {
        "a.tar/0000": None,
        "a.tar/0001": None,
        "b.tar@0": "truncated_source",
        "c.tar@0": "truncated_source",
        "d.tar/0000": None,
        "d.tar@2048": "truncated_source",
        "e.tgz@0": "truncated_source",
        "f.tar.gz/0000": None,
        "f.tar.gz/0001": None,
    }


@pytest.mark.spark
def test_a_batch_takes_tars_up_to_the_limit(spark: SparkSession, tmp_path: Path) -> None:
    put(tmp_path / "t", **{f"{n}.tar": pairs(n + 1) for n in range(3)})
    limits = Limits(batch_bytes=len(pairs(1)) + len(pairs(2)))
    assert batches_of(open_source(spark, str(tmp_path / "t"), limits=limits), tmp_path / "checkpoint") == [3, 3]


@pytest.mark.spark
def test_one_tar_is_a_source_too(spark: SparkSession, tmp_path: Path) -> None:
    put(tmp_path, **{"x.tar": pairs(1)})
    rows = read_new(open_source(spark, str(tmp_path / "x.tar")), tmp_path / "checkpoint")
    assert [row["source_uid"] for row in rows] == ["x.tar/0000"]


def reader(root: Path, **limits: int) -> WebDatasetReader:
    return WebDatasetReader(str(root), columns=Columns(), limits=Limits(**limits))


def test_offsets_advance_by_bytes(tmp_path: Path) -> None:
    put(tmp_path, **{f"{n}.tar": pairs(1) for n in range(4)})
    tars = reader(tmp_path)
    start = tars.initialOffset()
    first = tars.latestOffset(start, ReadMaxBytes(2 * len(pairs(1))))
    assert names_in(first) == {"0.tar", "1.tar"}
    assert names_in(tars.latestOffset(first, ReadMaxBytes(1))) == {"0.tar", "1.tar", "2.tar"}
    last = tars.latestOffset(start, ReadAllAvailable())
    assert [partition.name for partition in tars.partitions(first, last)] == ["2.tar", "3.tar"]
    assert tars.latestOffset(last, ReadAllAvailable()) == last
    assert tars.partitions(last, last) == []


def test_what_comes_after_the_start_waits_for_the_next_run(tmp_path: Path) -> None:
    put(tmp_path, **{"b.tar": pairs(1)})
    tars = reader(tmp_path)
    tars.prepareForTriggerAvailableNow()
    put(tmp_path, **{"a.tar": pairs(1)})
    assert names_in(tars.latestOffset(tars.initialOffset(), ReadAllAvailable())) == {"b.tar"}


def test_a_tar_comes_in_batches_of_bounded_size(tmp_path: Path) -> None:
    put(tmp_path, **{"a.tar": pairs(10, size=5 << 20)})
    batches: list[pa.RecordBatch] = list(reader(tmp_path).read(TarPartition("a.tar")))
    assert [batch.num_rows for batch in batches] == [3, 3, 3, 1]


def test_a_tar_that_is_gone_is_a_row(tmp_path: Path) -> None:
    (batch,) = reader(tmp_path).read(TarPartition("gone.tar"))
    assert batch.to_pylist()[0]["reason"] == "truncated_source"
