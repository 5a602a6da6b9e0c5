"""What the Spark jobs that measure something write: metrics, with what they are of, into gold.evaluations."""

from collections.abc import Sequence
from dataclasses import astuple

from pyspark.sql import functions as F

from lakehouse.lake import Lake
from schemas.gold import EVALUATIONS
from udfs.audit import Metric


def is_evaluated(lake: Lake, checkpoint: str, dataset: str) -> bool:
    """Say whether metrics of ``checkpoint`` on ``dataset`` were written before."""
    own = (F.col("checkpoint") == checkpoint) & (F.col("dataset") == dataset)
    return not lake.read(EVALUATIONS).where(own).isEmpty()


def append_metrics(lake: Lake, metrics: Sequence[Metric], *, checkpoint: str, name: str, dataset: str) -> int:
    """Write ``metrics``, which say that all else of the evaluation is there; return how many."""
    about = {"checkpoint": checkpoint, "name": name, "dataset": dataset, "release": ""}
    schema = "metric STRING, value DOUBLE, n BIGINT, low DOUBLE, high DOUBLE"
    rows = lake.spark.createDataFrame([astuple(one) for one in metrics], schema)
    told = {column: F.lit(value) for column, value in about.items()} | {"evaluated_at": F.current_timestamp()}
    lake.append(EVALUATIONS, rows.withColumns(told))
    return len(metrics)
