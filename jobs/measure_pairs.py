"""bronze.pairs -> silver.signals: measure text and image of every pair, in one decode."""

import sys
from dataclasses import dataclass
from typing import Annotated

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.cli import POSITIVE
from lakehouse.increments import run_increments
from lakehouse.job import Job
from lakehouse.joins import only_new
from lakehouse.lake import Lake, Txn
from lakehouse.outcome import Counts
from lakehouse.persisted import persisted
from lakehouse.progress import Progress
from lakehouse.rejects import reject
from schemas import TABLES
from schemas.bronze import PAIRS
from schemas.ops import REJECTS, RUNS
from schemas.silver import SIGNALS
from udfs.measure import MEASURE_SCHEMA, measure
from udfs.spark import map_batches


@dataclass(frozen=True)
class Config:
    """Measure text and image signals of every pair that has none yet."""

    lake: Annotated[str, "root of the lakehouse: a folder or a bucket"]
    batch_mb: Annotated[int, "most image bytes a micro-batch takes in, in MB", POSITIVE] = 256


def measure_pairs(pairs: DataFrame) -> DataFrame:
    """Return one row of signals a pair; ``reason`` says why a pair could not be measured, or is null."""
    columns = ("sample_id", "image_id", "ingested_at", "image", "alt_text", "metadata")
    return map_batches(pairs.select(*columns), measure, MEASURE_SCHEMA)


def run(lake: Lake, config: Config) -> Counts:
    """Measure what is new."""

    def each(batch: DataFrame, txn: Txn) -> Counts:
        with persisted(measure_pairs(only_new(lake, SIGNALS, batch))) as measured:
            good = measured.where(F.col("reason").isNull()).drop("reason", "detail")
            bad = measured.where(F.col("reason").isNotNull()).withColumnRenamed("sample_id", "row_id")
            counts = {"measured": good.count(), "rejected": bad.count()}
            if counts["rejected"]:
                reject(lake, REJECTS, bad, stage=JOB.name, txn=txn)
            lake.append(SIGNALS, good, txn=txn)
            return {"rows": counts["measured"], **counts}

    pairs = lake.stream(PAIRS, batch_bytes=config.batch_mb << 20, needs="ingest_pairs")
    checkpoint = lake.checkpoint(JOB.name)
    progress = Progress(JOB.name, total=lake.backlog(PAIRS, checkpoint))
    return run_increments(pairs, each, checkpoint=checkpoint, progress=progress)


JOB = Job("measure_pairs", Config, run, TABLES, RUNS)

if __name__ == "__main__":
    sys.exit(JOB.main())
