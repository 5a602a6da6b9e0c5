"""What earlier runs were asked for, read from the run log."""

from pyspark.sql import functions as F

from lakehouse.lake import Lake
from lakehouse.table import Table


def earlier_settings(lake: Lake, runs: Table, job: str, *fields: str) -> set[tuple[str | None, ...]]:
    """Return the distinct values of configuration ``fields`` in the runs of ``job`` that wrote something."""
    values = [F.get_json_object("config", f"$.{name}").alias(name) for name in fields]
    is_ours = (F.col("job") == job) & (F.col("status") == "succeeded")
    return {tuple(row) for row in lake.read(runs).where(is_ours).select(*values).distinct().collect()}
