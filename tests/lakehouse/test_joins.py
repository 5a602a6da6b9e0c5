"""Joins by id say so when they lose, double or miss rows."""

import pytest
from pyspark.sql import DataFrame, SparkSession

from lakehouse.errors import JoinAuditFailed
from lakehouse.joins import look_up, only_new
from lakehouse.lake import Lake
from schemas.silver import SELECTIONS
from tests.lakehouse.members import members

pytestmark = pytest.mark.spark


def rows(spark: SparkSession, *ids: str) -> DataFrame:
    return spark.createDataFrame([(name,) for name in ids], "sample_id STRING")


def facts(spark: SparkSession, *pairs: tuple[str, int]) -> DataFrame:
    return spark.createDataFrame(list(pairs), "sample_id STRING, words INT")


def test_each_row_gets_its_own_fact(spark: SparkSession) -> None:
    found = look_up(rows(spark, "a", "b"), facts(spark, ("b", 2), ("a", 1), ("c", 3)), needs="x").collect()
    assert sorted(tuple(row) for row in found) == [("a", 1), ("b", 2)]


def test_a_row_without_a_fact_fails_with_the_job_to_run(spark: SparkSession) -> None:
    with pytest.raises(JoinAuditFailed, match="1 of 2 rows have no match by sample_id: run measure_pairs first"):
        look_up(rows(spark, "a", "b"), facts(spark, ("a", 1)), needs="measure_pairs")


def test_a_row_with_two_facts_fails(spark: SparkSession) -> None:
    with pytest.raises(JoinAuditFailed, match="1 of 1 rows have several matches"):
        look_up(rows(spark, "a"), facts(spark, ("a", 1), ("a", 2)), needs="x")


def test_only_rows_that_are_not_there_are_new(lake: Lake, spark: SparkSession) -> None:
    lake.append(SELECTIONS, members(spark, "a"))
    assert [row.sample_id for row in only_new(lake, SELECTIONS, rows(spark, "a", "b")).collect()] == ["b"]
