"""silver.signals -> silver.duplicates: find pairs that repeat an earlier one, byte for byte or to the eye."""

import sys
from dataclasses import dataclass
from typing import Annotated

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.errors import BadInput
from lakehouse.increments import Counts, run_increments
from lakehouse.job import Job
from lakehouse.joins import only_new, restrict
from lakehouse.lake import Lake, Txn
from lakehouse.progress import Progress
from schemas import TABLES
from schemas.ops import RUNS
from schemas.silver import DUPLICATES, SIGNALS
from udfs.duplicates import roots

BANDS = 4
"""Two 64-bit hashes that differ in at most BANDS - 1 bits agree in at least one of BANDS equal parts."""


@dataclass(frozen=True)
class Config:
    """Find pairs that repeat an earlier one: the same image bytes, or a look-alike."""

    lake: Annotated[str, "root of the lakehouse: a folder or a bucket"]
    max_bits: Annotated[int, f"most bits in which the perceptual hashes of look-alikes differ, 0 to {BANDS - 1}"] = 3
    max_colour: Annotated[int, "most by which their mean red, green or blue differ, 0 to 255"] = 16
    max_same_text: Annotated[
        int, "most look-different images that may carry the same text and tags; 0 for any number"
    ] = 50
    max_flat: Annotated[float, "images of which one colour fills more than this share are never look-alikes"] = 0.98
    batch_mb: Annotated[
        int, "most bytes a micro-batch takes in, in MB: signals are small, and one batch is compared at a time"
    ] = 16


def find_repeats(new: DataFrame, signals: DataFrame, config: Config) -> DataFrame:
    """Return ``sample_id, kept_id, kind, distance``: for each of ``new`` the earliest of ``signals`` that it repeats.

    Earlier means ingested before, or at the same time with a smaller sample_id: a total order that never changes, so
    the same pairs are found however the rows are cut into batches.
    """
    mine, others = _keyed(new, config).alias("mine"), _keyed(signals, config).alias("other")
    same_part = F.col("mine.part") == F.col("other.part")
    pairs = F.broadcast(mine).join(others, on=same_part & _is_earlier("other", "mine"), how="inner")
    is_exact = F.col("mine.image_id") == F.col("other.image_id")
    distance = F.bit_count(F.col("mine.phash").bitwiseXOR(F.col("other.phash")))
    alike = pairs.where(is_exact | ((distance <= config.max_bits) & _has_near_colours(config.max_colour)))
    first = F.min_by(F.struct("kept_id", "kind", "distance"), F.struct("came_at", "kept_id"))
    candidates = alike.select(
        F.col("mine.sample_id").alias("sample_id"),
        F.col("other.sample_id").alias("kept_id"),
        F.col("other.ingested_at").alias("came_at"),
        F.when(is_exact, "exact").otherwise("perceptual").alias("kind"),
        F.when(is_exact, 0).otherwise(distance).cast("int").alias("distance"),
    )
    return candidates.groupBy("sample_id").agg(first.alias("first")).select("sample_id", "first.*")


def _keyed(signals: DataFrame, config: Config) -> DataFrame:
    """One row for the image and one for each band of its hash: two rows that may be alike share a ``part``."""
    width = 64 // BANDS
    bands = [
        F.concat(F.lit(f"{band}:"), F.shiftrightunsigned("phash", band * width).bitwiseAND(2**width - 1))
        for band in range(BANDS)
    ]
    # A nearly blank image has next to no structure to hash: all of them would share a band.
    by_look = F.when(F.col("flat_share") <= config.max_flat, F.array(*bands)).otherwise(F.array().cast("array<string>"))
    parts = F.concat(F.array(F.col("image_id")), by_look)
    columns = ("sample_id", "image_id", "ingested_at", "phash", "mean_rgb")
    return signals.select(*columns, F.explode(parts).alias("part"))


def _is_earlier(one: str, other: str) -> Column:
    def place(side: str) -> Column:
        return F.struct(F.col(f"{side}.ingested_at"), F.col(f"{side}.sample_id").alias("id"))

    return place(one) < place(other)


def _has_near_colours(most: int) -> Column:
    """The hash sees grey only: without this, the flags of two countries with one layout would be the same image."""
    apart = F.zip_with("mine.mean_rgb", "other.mean_rgb", lambda a, b: F.abs(a - b))
    return F.array_max(apart) <= most


def find_worn_texts(new: DataFrame, unique: DataFrame, most: int) -> DataFrame:
    """Return ``sample_id, kept_id, kind, distance`` of those of ``new`` whose text stood ``most`` times before.

    ``unique`` are the signals of pairs that repeat no image. A text on hundreds of images says nothing of any of them.
    """
    same_text = unique.join(F.broadcast(new.select("text_hash").distinct()), on="text_hash", how="left_semi")
    by_text = Window.partitionBy("text_hash").orderBy("ingested_at", "sample_id")
    placed = same_text.select(
        "sample_id", F.row_number().over(by_text).alias("place"), F.first("sample_id").over(by_text).alias("kept_id")
    )
    worn = placed.where(F.col("place") > most).join(new.select("sample_id"), on="sample_id", how="left_semi")
    return worn.select("sample_id", "kept_id", F.lit("text").alias("kind"), F.lit(None).cast("int").alias("distance"))


def run(lake: Lake, config: Config) -> Counts:
    """Compare what is new with everything."""
    if not 0 <= config.max_bits < BANDS:
        raise BadInput(f"bad --max-bits {config.max_bits}: expected 0 to {BANDS - 1}, what {BANDS} bands can find")

    def each(batch: DataFrame, txn: Txn) -> Counts:
        new = only_new(lake, DUPLICATES, batch)
        found = find_repeats(new, lake.read(SIGNALS), config).collect()  # at most one row a row of the batch
        repeats = [(row.sample_id, row.kept_id) for row in found]
        stays = roots(repeats, _known_roots(lake, [earlier for _, earlier in repeats]))
        rows = [(row.sample_id, stays[row.sample_id], row.kind, row.distance) for row in found]
        images = lake.spark.createDataFrame(rows, "sample_id STRING, kept_id STRING, kind STRING, distance INT")
        worn = _worn_texts(lake, new, images, config.max_same_text).persist()
        lake.append(DUPLICATES, images.unionByName(worn), txn=txn)
        kinds = [row.kind for row in found]
        counts = {"exact": kinds.count("exact"), "perceptual": kinds.count("perceptual"), "text": worn.count()}
        worn.unpersist()
        return {"rows": batch.count(), **counts}

    signals = lake.stream(SIGNALS, batch_bytes=config.batch_mb << 20, needs="measure_pairs")
    return run_increments(signals, each, checkpoint=lake.checkpoint(JOB.name), progress=Progress(JOB.name))


def _worn_texts(lake: Lake, new: DataFrame, images: DataFrame, most: int) -> DataFrame:
    if not most:
        return images.limit(0)
    known = lake.read(DUPLICATES).where(F.col("kind") != "text").select("sample_id")
    repeated = known.unionByName(images.select("sample_id"))
    columns = ("sample_id", "text_hash", "ingested_at")
    unique = lake.read(SIGNALS).select(*columns).join(repeated, on="sample_id", how="left_anti")
    return find_worn_texts(new.select(*columns), unique, most)


def _known_roots(lake: Lake, ids: list[str]) -> dict[str, str]:
    if not ids or not lake.exists(DUPLICATES):
        return {}
    asked = lake.spark.createDataFrame([(name,) for name in set(ids)], "sample_id STRING")
    known = restrict(lake.read(DUPLICATES).select("sample_id", "kept_id"), asked).collect()
    return {row.sample_id: row.kept_id for row in known}


JOB = Job("dedup_pairs", Config, run, TABLES, RUNS)

if __name__ == "__main__":
    sys.exit(JOB.main())
