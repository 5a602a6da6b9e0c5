"""Joins by id that say so when they lose, double or miss rows; image bytes stay where they are."""

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.errors import JoinAuditFailed
from lakehouse.lake import Lake
from lakehouse.table import Table


def only_new(lake: Lake, table: Table, rows: DataFrame, *, key: str = "sample_id") -> DataFrame:
    """Return the ``rows`` whose ``key`` is not in ``table`` yet: what makes a stream that starts afresh harmless."""
    if not lake.exists(table):
        return rows
    return rows.join(F.broadcast(restrict(lake.read(table).select(key), rows, key=key)), on=key, how="left_anti")


def restrict(facts: DataFrame, rows: DataFrame, *, key: str = "sample_id") -> DataFrame:
    """Return the ``facts`` about ``rows``: only the ids of ``rows`` travel."""
    return facts.join(F.broadcast(rows.select(key)), on=key, how="left_semi")


def came_with(rows: DataFrame, batch: DataFrame) -> DataFrame:
    """Return the ``rows`` that came in when those of ``batch`` did: batches may cut what came in together.

    Both have ``ingested_at``.
    """
    # In microseconds: Python's times without a zone are ambiguous for an hour a year.
    micros = F.unix_micros("ingested_at")
    first, last = batch.agg(F.min(micros), F.max(micros)).collect()[0]
    return rows.where(F.col("ingested_at").between(F.timestamp_micros(F.lit(first)), F.timestamp_micros(F.lit(last))))


def holding(rows: DataFrame, values: Mapping[str, str]) -> DataFrame:
    """Return the ``rows`` that hold ``values`` in the columns of these names."""
    for name, value in values.items():
        rows = rows.where(F.col(name) == value)
    return rows


def look_up(rows: DataFrame, facts: DataFrame, *, needs: str, key: str = "sample_id") -> DataFrame:
    """Return ``rows`` with the columns of ``facts``, one fact a row.

    Raises JoinAuditFailed where a row has no fact (``needs`` names the job that makes them) or more than one.
    """
    own = restrict(facts, rows, key=key)
    audit_look_up(rows, own, needs=needs, key=key)
    return rows.join(F.broadcast(own), on=key, how="inner")


def audit_look_up(rows: DataFrame, facts: DataFrame, *, needs: str, key: str = "sample_id") -> None:
    """Raise JoinAuditFailed unless ``facts`` has exactly one row for every row of ``rows``."""
    found = facts.groupBy(key).agg(F.count("*").alias("facts"))
    counted = rows.select(key).join(found, on=key, how="left").select(F.coalesce("facts", F.lit(0)).alias("facts"))
    counts = counted.agg(F.count_if(F.col("facts") == 0), F.count_if(F.col("facts") > 1), F.count("*")).collect()[0]
    missing, doubled, total = counts
    if missing:
        raise JoinAuditFailed(f"{missing:,} of {total:,} rows have no match by {key}: run {needs} first")
    if doubled:
        raise JoinAuditFailed(f"{doubled:,} of {total:,} rows have several matches by {key}: expected one each")
