"""Rows of a small real table that the tests write and read."""

from pyspark.sql import DataFrame, SparkSession


def members(spark: SparkSession, *ids: str) -> DataFrame:
    """Return rows of ``silver.selections``: these samples, chosen by one filter."""
    rows = [("default", name, name) for name in ids]
    return spark.createDataFrame(rows, "selection STRING, sample_id STRING, group_id STRING")
