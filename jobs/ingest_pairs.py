"""Folders, WebDataset tars, Parquet and Delta -> bronze.pairs: every image verified, bytes untouched."""

import hashlib
import sys
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.errors import BadInput
from lakehouse.increments import Counts, run_increments
from lakehouse.job import Job
from lakehouse.joins import restrict
from lakehouse.lake import Lake, Txn
from lakehouse.lake_root import normal_root
from lakehouse.persisted import persisted
from lakehouse.progress import Progress
from lakehouse.rejects import reject
from lakehouse.sources import Columns, count_hint, open_source
from lakehouse.sources import Limits as SourceLimits
from lakehouse.sources.tables import is_table_name
from schemas import TABLES
from schemas.bronze import PAIRS
from schemas.ops import REJECTS, RUNS
from udfs.check import CHECKED_SCHEMA, check
from udfs.image_check import Limits
from udfs.spark import map_stream


@dataclass(frozen=True)
class Config:
    """Take in image + alt-text pairs; what cannot be taken becomes a row of ops.rejects that says why."""

    lake: Annotated[str, "root of the lakehouse: a folder or a bucket"]
    source: Annotated[str, "folder of images, folder of WebDataset tars, folder of Parquet, or Delta table"]
    kind: Annotated[str, "auto, folder, tar, parquet or delta"] = "auto"
    image_column: Annotated[str, "Parquet, Delta: column of image bytes, or of Hugging Face image structs"] = ""
    text_column: Annotated[str, "Parquet, Delta: column of alt-texts"] = ""
    id_column: Annotated[
        str, "Parquet, Delta: column that names each row; without it Delta rows have passing names"
    ] = ""
    max_pixels: Annotated[int, "images with more pixels are turned away unread"] = 50_000_000
    max_seconds: Annotated[float, "longest that decoding one image may take"] = 5.0
    max_memory_mb: Annotated[int, "most memory that decoding one image may take, in MB"] = 1024
    batch_mb: Annotated[int, "most image bytes a micro-batch takes in, in MB"] = 256


def check_pairs(pairs: DataFrame, limits: Limits) -> DataFrame:
    """Return the rows of a source with identity, size and format, and with the reason why a row is turned away."""
    return map_stream(pairs, partial(check, limits=limits), CHECKED_SCHEMA)


def run(lake: Lake, config: Config) -> Counts:
    """Take in what is new at the source."""
    _check(config)
    columns = Columns(image=config.image_column or None, alt_text=config.text_column or None)
    limits = SourceLimits(batch_bytes=config.batch_mb << 20)
    rows = open_source(lake.spark, config.source, kind=config.kind, columns=columns, limits=limits)
    image_limits = Limits(seconds=config.max_seconds, memory_mb=config.max_memory_mb, pixels=config.max_pixels)

    def each(batch: DataFrame, txn: Txn) -> Counts:
        with (
            persisted(check_pairs(batch, image_limits)) as checked,
            persisted(_without_doubles(lake, checked)) as verdicts,
        ):
            return take(checked, verdicts, txn)

    def take(checked: DataFrame, verdicts: DataFrame, txn: Txn) -> Counts:
        good = verdicts.where(F.col("reason").isNull())
        bad = verdicts.where(F.col("reason").isNotNull())
        counts = {"read": verdicts.count(), "ingested": good.count(), "rejected": bad.count()}
        # Rejects first: if the run dies in between, the pairs are still new when the batch comes again.
        if counts["rejected"]:
            reject(lake, REJECTS, _rejects(bad, checked), stage=JOB.name, txn=txn)
        sound = checked.where(F.col("reason").isNull()).drop("reason", "detail")
        kept = sound.join(F.broadcast(good.select(*_PLACE)), on=_PLACE, how="left_semi")
        lake.append(PAIRS, kept.withColumn("ingested_at", F.current_timestamp()), txn=txn)
        return {"rows": counts["read"], **counts}

    # Who asks why nothing was rejected should get an empty answer, not a missing table.
    lake.create(REJECTS)
    checkpoint = lake.checkpoint(f"{JOB.name}/{_slug(_where(lake, config.source))}")
    is_fresh = lake.backlog(PAIRS, checkpoint) is not None
    total = count_hint(lake.spark, config.source, kind=config.kind) if is_fresh else None
    return run_increments(rows, each, checkpoint=checkpoint, progress=Progress(JOB.name, total=total))


def _check(config: Config) -> None:
    # A limit of nothing would turn every image away, for good: what was read is not read again.
    for name in ("max_pixels", "max_seconds", "max_memory_mb", "batch_mb"):
        if not getattr(config, name) > 0:
            raise BadInput(f"bad --{name.replace('_', '-')} {getattr(config, name)}: expected more than 0")


_PLACE = ["source", "source_uid"]
"""Where a row came from: unique within what one batch reads, as sources number what they cannot name."""


def _without_doubles(lake: Lake, checked: DataFrame) -> DataFrame:
    """Return place, sample_id, reason and detail of each row; of the same pair twice, the later one is rejected.

    A pair that is in bronze.pairs from this very place is dropped: a stream that starts afresh adds nothing.
    """
    rows = checked.select(*_PLACE, "sample_id", "reason", "detail")
    place = F.concat_ws("/", *_PLACE)
    good = rows.where(F.col("reason").isNull())
    first = good.groupBy("sample_id").agg(F.min(place).alias("first"))
    there = restrict(lake.read(PAIRS).select("sample_id", place.alias("there")), good)
    known = first.join(there, on="sample_id", how="left").select(
        "sample_id", F.coalesce("there", "first").alias("first")
    )
    is_known = there.select("sample_id", F.col("there").alias("first")).withColumn("is_known", F.lit(True))
    judged = rows.join(known, on="sample_id", how="left").join(is_known, on=["sample_id", "first"], how="left")
    is_double = F.col("reason").isNull() & (place != F.col("first"))
    is_back = F.col("reason").isNull() & (place == F.col("first")) & F.col("is_known").isNotNull()
    return judged.where(~is_back).select(
        *_PLACE,
        "sample_id",
        F.when(is_double, "duplicate_pair").otherwise(F.col("reason")).alias("reason"),
        F.when(is_double, F.concat(F.lit("same as "), F.col("first"))).otherwise(F.col("detail")).alias("detail"),
    )


def _rejects(bad: DataFrame, checked: DataFrame) -> DataFrame:
    raw = checked.select(*_PLACE, F.substring("image", 1, 4096).alias("raw"))
    row_id = F.sha2(F.concat_ws("\0", *_PLACE), 256)
    return bad.withColumn("row_id", row_id).join(raw, on=_PLACE, how="left").drop("sample_id")


def _where(lake: Lake, source: str) -> str:
    """The same relative path is another source in another working folder, with a checkpoint of its own."""
    is_table = is_table_name(source) and lake.spark.catalog.tableExists(source)
    return source if is_table else normal_root(source)


def _slug(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()[:16]


JOB = Job("ingest_pairs", Config, run, TABLES, RUNS, makes_lake=True)

if __name__ == "__main__":
    sys.exit(JOB.main())
