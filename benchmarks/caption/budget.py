"""What a server that runs away can spend: it writes prose, and all the tokens that it may, whatever it is asked."""

from pathlib import Path
from typing import Any, Final

from pyspark.sql import SparkSession

from benchmarks.caption.servers import serving
from benchmarks.samples import add_samples
from jobs import describe_images
from lakehouse.lake import open_lake
from schemas import TABLES

ROWS: Final = 2000
BUDGET: Final = 1_000_000
"""Tokens: less than half of what all rows would come to."""


def measure(folder: Path, spark: SparkSession) -> dict[str, Any]:
    """Return the tokens that the server counts, of those that the budget allows."""
    root, log = str(folder / "runaway"), folder / "runaway.jsonl"
    lake = open_lake(root, spark=spark, tables=TABLES, run_id="bench")
    add_samples(lake, ROWS, image_bytes=1_000)
    with serving(log=log, flags=("--runaway",)) as server:
        config = describe_images.Config(lake=root, model=server.model, budget_tokens=BUDGET)
        describe_images.JOB.run(lake, config)
        spent = sum(line["tokens"] for line in server.served())
    return {"budget_tokens": BUDGET, "tokens_spent": spent, "is_within_budget": spent <= BUDGET}
