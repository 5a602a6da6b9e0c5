"""Rows that were turned away: kept, with a typed reason, once a row and stage."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.lake import Lake, Txn
from lakehouse.table import Table

RAW_BYTES = 4096
"""How much of a rejected row's content is kept."""


def reject(lake: Lake, table: Table, rows: DataFrame, *, stage: str, txn: Txn) -> None:
    """Append ``rows`` to ``table`` with ``stage`` and the time; what this stage has rejected before stays as it is.

    ``rows`` need ``row_id`` and ``reason``; ``detail``, ``source``, ``source_uid`` and ``raw`` are null where absent.
    """
    known = lake.read(table).where(F.col("stage") == stage).select("row_id")
    fresh = _complete(rows, stage).dropDuplicates(["row_id"]).join(known, on="row_id", how="left_anti")
    lake.append(table, fresh, txn=txn)


def _complete(rows: DataFrame, stage: str) -> DataFrame:
    def given(name: str, kind: str) -> Column:
        return F.col(name).cast(kind) if name in rows.columns else F.lit(None).cast(kind)

    return rows.select(
        "row_id",
        F.lit(stage).alias("stage"),
        "reason",
        given("detail", "string").alias("detail"),
        given("source", "string").alias("source"),
        given("source_uid", "string").alias("source_uid"),
        F.substring(given("raw", "binary"), 1, RAW_BYTES).alias("raw"),
        F.current_timestamp().alias("rejected_at"),
    )
