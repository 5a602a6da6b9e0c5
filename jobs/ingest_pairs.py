"""Folders, WebDataset tars, Parquet and Delta -> bronze.pairs: every image verified, bytes untouched."""

import sys
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.cli import POSITIVE
from lakehouse.increments import run_increments
from lakehouse.job import Job
from lakehouse.joins import restrict
from lakehouse.lake import Lake, Txn
from lakehouse.lake_root import normal_root
from lakehouse.outcome import Counts
from lakehouse.persisted import persisted
from lakehouse.progress import Progress
from lakehouse.rejects import reject
from lakehouse.sources import Columns, check_source, count_hint, find_kind, open_source
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
        str, "Parquet, Delta: column that names each row, unique; without it Delta rows have passing names"
    ] = ""
    max_pixels: Annotated[int, "images with more pixels are turned away unread", POSITIVE] = 50_000_000
    max_seconds: Annotated[float, "longest that decoding one image may take", POSITIVE] = 5.0
    max_memory_mb: Annotated[int, "most memory that decoding one image may take, in MB", POSITIVE] = 1024
    batch_mb: Annotated[int, "most image bytes a micro-batch takes in, in MB", POSITIVE] = 256


def check_pairs(pairs: DataFrame, limits: Limits) -> DataFrame:
    """Return the rows of a source with identity, size and format, and with the reason why a row is turned away.

    ``number`` tells apart what is otherwise the same: it is unique within what one batch reads.
    """
    checked = map_stream(pairs, partial(check, limits=limits), CHECKED_SCHEMA)
    return checked.withColumn("number", F.monotonically_increasing_id())


def check_config(config: Config) -> None:
    """Raise BadInput for a kind that there is not, and for a folder that cannot be read or is empty."""
    check_source(config.source, config.kind)


def run(lake: Lake, config: Config) -> Counts:
    """Take in what is new at the source."""
    names = {"image": config.image_column, "alt_text": config.text_column, "id": config.id_column}
    columns = Columns(**{name: column or None for name, column in names.items()})
    limits = SourceLimits(batch_bytes=config.batch_mb << 20)
    kind = find_kind(lake.spark, config.source) if config.kind == "auto" else config.kind
    rows = open_source(lake.spark, config.source, kind=kind, columns=columns, limits=limits)
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
        lake.append(PAIRS, _kept(checked, good).withColumn("ingested_at", F.current_timestamp()), txn=txn)
        return {"rows": counts["read"], **counts}

    # Who asks why nothing was rejected should get an empty answer, not a missing table.
    lake.create(REJECTS)
    checkpoint = lake.checkpoint(JOB.name, kind, _where(lake, config.source))
    is_fresh = lake.backlog(PAIRS, checkpoint) is not None
    total = count_hint(lake.spark, config.source, kind=kind) if is_fresh else None
    return run_increments(rows, each, checkpoint=checkpoint, progress=Progress(JOB.name, total=total))


_PLACE = ["source", "source_uid"]
"""Where a row came from. Sources number what they cannot name, but an id column may name two rows alike."""
_PAIR = [*_PLACE, "sample_id"]


def _without_doubles(lake: Lake, checked: DataFrame) -> DataFrame:
    """Return what becomes of each row, without its bytes; of the same pair twice, the later one is rejected.

    A pair that is in bronze.pairs from this very place is dropped: a stream that starts afresh adds nothing. Among rows
    of one place ``copy`` counts from 1, and ``is_alone`` says that there is one only.
    """
    same_place = Window.partitionBy(*_PLACE)
    rows = checked.select(*_PAIR, "reason", "detail", "number").select(
        "*",
        F.row_number().over(same_place.orderBy("number")).alias("copy"),
        (F.count("*").over(same_place) == 1).alias("is_alone"),
    )
    place = F.concat_ws("/", *_PLACE)
    is_good = F.col("reason").isNull()
    good = rows.where(is_good)
    first = good.groupBy("sample_id").agg(F.min(F.struct(place.alias("place"), "number")).alias("first"))
    there = restrict(lake.read(PAIRS).select("sample_id", place.alias("there")), good)
    judged = rows.join(first.join(there, on="sample_id", how="left"), on="sample_id", how="left")
    is_back = is_good & place.eqNullSafe(F.col("there"))
    is_first = F.col("there").isNull() & (F.col("number") == F.col("first.number"))
    is_double = is_good & ~is_first
    same = F.concat(F.lit("same as "), F.coalesce("there", "first.place"))
    return judged.where(~is_back).select(
        *_PAIR,
        "number",
        "copy",
        "is_alone",
        F.when(is_double, "duplicate_pair").otherwise(F.col("reason")).alias("reason"),
        F.when(is_double, same).otherwise(F.col("detail")).alias("detail"),
    )


def _kept(checked: DataFrame, good: DataFrame) -> DataFrame:
    """Return the rows of ``checked`` that ``good``, which has a pair once, speaks of; their bytes stay where they are.

    Numbers decide between rows of one place only: when an executor is lost, a row that is read again may get another.
    """
    verdicts = good.select(*_PAIR, F.col("number").alias("chosen"), "is_alone")
    sound = checked.where(F.col("reason").isNull()).drop("reason", "detail")
    is_chosen = F.col("is_alone") | (F.col("number") == F.col("chosen"))
    found = sound.join(F.broadcast(verdicts), on=_PAIR, how="inner").where(is_chosen)
    return found.drop("number", "chosen", "is_alone")


def _rejects(bad: DataFrame, checked: DataFrame) -> DataFrame:
    raw = checked.select(*_PLACE, "number", F.substring("image", 1, 4096).alias("raw"))
    copy = F.when(F.col("copy") > 1, F.col("copy"))
    row_id = F.sha2(F.concat_ws("\0", *_PLACE, copy), 256)
    joined = bad.withColumn("row_id", row_id).join(raw, on=[*_PLACE, "number"], how="left")
    return joined.drop("sample_id", "number", "copy", "is_alone")


def _where(lake: Lake, source: str) -> str:
    """The same relative path is another source in another working folder, with a checkpoint of its own."""
    is_table = is_table_name(source) and lake.spark.catalog.tableExists(source)
    return source if is_table else normal_root(source)


JOB = Job("ingest_pairs", Config, run, TABLES, RUNS, makes_lake=True, check=check_config)

if __name__ == "__main__":
    sys.exit(JOB.main())
