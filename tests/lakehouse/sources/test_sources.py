"""What a path holds, and what is said of a path that holds nothing."""

import re
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lakehouse.errors import BadInput
from lakehouse.sources import check_source, count_hint, find_kind, open_source
from tests.lakehouse.sources.made import image, put

pytestmark = pytest.mark.spark


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["00000.tar", "00000.parquet", "00000_stats.json"], "tar"),
        (["a/b/1.TGZ", "a/b/1.parquet"], "tar"),
        (["split=train/0.parquet", "readme.txt"], "parquet"),
        (["_delta_log/0.json", "0.parquet"], "delta"),
        (["sub/1.JPEG", "metadata.csv"], "folder"),
    ],
)
def test_the_kind_is_found_by_looking(spark: SparkSession, tmp_path: Path, names: list[str], kind: str) -> None:
    put(tmp_path, **dict.fromkeys(names, b"x"))
    assert find_kind(spark, f"file://{tmp_path}/") == kind


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["1.png", "all.tgz"], "images ('1.png') as well as tars ('all.tgz'): choose by --kind folder or --kind tar"),
        (["a/1.png", "0.parquet"], "Parquet ('0.parquet') as well as images ('a/1.png'): choose by --kind parquet or"),
        (
            ["0.tar", "1.parquet"],
            "tars ('0.tar') as well as Parquet ('1.parquet'): choose by --kind tar or --kind parquet",
        ),
    ],
)
def test_a_mixed_folder_is_not_guessed_at(spark: SparkSession, tmp_path: Path, names: list[str], message: str) -> None:
    put(tmp_path, **dict.fromkeys(names, b"x"))
    with pytest.raises(BadInput, match=re.escape(message)) as error:
        open_source(spark, str(tmp_path))
    assert "\n" not in str(error.value)


def test_a_table_of_the_catalog_is_a_source(spark: SparkSession, tmp_path: Path) -> None:
    spark.sql("CREATE DATABASE IF NOT EXISTS given")
    path = str(tmp_path / "table")
    spark.sql(f"CREATE TABLE given.pairs (id STRING, image BINARY, text STRING) USING delta LOCATION '{path}'")
    try:
        assert open_source(spark, "given.pairs").isStreaming
    finally:
        spark.sql("DROP DATABASE given CASCADE")


def test_a_delta_table_without_rows_yet_is_a_source(spark: SparkSession, tmp_path: Path) -> None:
    path = str(tmp_path / "table")
    spark.sql(f"CREATE TABLE delta.`{path}` (image BINARY, text STRING) USING delta")
    check_source(path, "auto")
    assert open_source(spark, path).isStreaming


def test_bad_paths_are_said_in_one_line(spark: SparkSession, tmp_path: Path) -> None:
    put(tmp_path, **{"one.png": image(), "other/readme.md": b"x"})
    (tmp_path / "empty").mkdir()
    expected = {
        "": "the source has no path",
        f"{tmp_path}/gone": "no such folder: '.*gone'",
        f"{tmp_path}/gone.tar": "no such folder: '.*gone.tar'",
        f"{tmp_path}/one.png": "'.*one.png' is a file: expected a folder",
        f"{tmp_path}/empty": "'.*empty' is empty",
        f"{tmp_path}/other": "no images, tars or Parquet .*'other/readme.md'|no images, tars or Parquet .*'readme.md'",
        "nosuch://bucket/x": "cannot open 'nosuch://bucket/x'",
    }
    for path, message in expected.items():
        with pytest.raises(BadInput, match=message) as error:
            open_source(spark, path)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["tar", "parquet", "delta", "folder", "zip"])
def test_a_kind_that_is_not_there_is_a_bad_input(spark: SparkSession, tmp_path: Path, kind: str) -> None:
    put(tmp_path, **{"readme.md": b"x"})
    with pytest.raises(BadInput):
        open_source(spark, str(tmp_path), kind=kind)


def test_the_samples_of_tars_are_not_counted(spark: SparkSession, tmp_path: Path) -> None:
    put(tmp_path, **{"0.tar": b"x"})
    assert count_hint(spark, str(tmp_path)) is None
