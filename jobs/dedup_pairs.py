"""silver.signals -> silver.duplicates: which earlier pair each pair repeats, byte for byte or to the eye."""

import sys
from dataclasses import dataclass
from typing import Annotated

from pyspark.sql import Column, DataFrame, Row, Window
from pyspark.sql import functions as F

from lakehouse.cli import POSITIVE
from lakehouse.errors import BadInput
from lakehouse.increments import run_increments
from lakehouse.job import Job
from lakehouse.joins import audit_look_up, came_with, only_new, restrict
from lakehouse.lake import Lake, Txn
from lakehouse.outcome import Counts
from lakehouse.persisted import persisted
from lakehouse.progress import Progress
from schemas import TABLES
from schemas.bronze import PAIRS
from schemas.ops import REJECTS, RUNS
from schemas.silver import DUPLICATES, SIGNALS
from udfs.duplicates import roots

BANDS = 4
"""Two 64-bit hashes that differ in at most BANDS - 1 bits agree in at least one of BANDS equal parts."""


@dataclass(frozen=True)
class Config:
    """Group pairs that repeat one another: the same image bytes, or look-alikes. select_pairs keeps one of a group."""

    lake: Annotated[str, "root of the lakehouse: a folder or a bucket"]
    max_bits: Annotated[int, f"most bits in which the perceptual hashes of look-alikes differ, 0 to {BANDS - 1}"] = 3
    max_colour: Annotated[int, "most by which their mean red, green or blue differ, 0 to 255"] = 16
    max_flat: Annotated[float, "images of which one colour fills more than this share are never look-alikes"] = 0.98
    batch_mb: Annotated[
        int,
        "most bytes a micro-batch takes in, in MB: signals are small, and one batch is compared at a time",
        POSITIVE,
    ] = 16


def find_repeats(new: DataFrame, signals: DataFrame, config: Config) -> DataFrame:
    """Return ``sample_id, earlier_id, kind, distance``: for each of ``new`` the earliest of ``signals`` it repeats.

    Earlier means ingested before, or at the same time with a smaller sample_id: a total order that never changes, so
    the same pairs are found however the rows are cut into batches.
    """
    mine, others = _keyed(new, config).alias("mine"), _keyed(signals, config).alias("other")
    same_part = F.col("mine.part") == F.col("other.part")
    pairs = F.broadcast(mine).join(others, on=same_part & _is_earlier("other", "mine"), how="inner")
    is_exact = F.col("mine.image_id") == F.col("other.image_id")
    distance = F.bit_count(F.col("mine.phash").bitwiseXOR(F.col("other.phash")))
    alike = pairs.where(is_exact | ((distance <= config.max_bits) & _has_near_colours(config.max_colour)))
    first = F.min_by(F.struct("earlier_id", "kind", "distance"), F.struct("came_at", "earlier_id"))
    candidates = alike.select(
        F.col("mine.sample_id").alias("sample_id"),
        F.col("other.sample_id").alias("earlier_id"),
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


def place_texts(new: DataFrame, known: DataFrame) -> DataFrame:
    """Return ``new`` with ``text_place``: how many firsts with its text had come when it came, itself included.

    ``new`` has ``text_hash``, ``ingested_at`` and ``kind``, null for a first; ``known`` is what silver.duplicates
    holds of the texts of earlier pairs.
    """
    before = known.groupBy("text_hash").agg(F.max("text_place").alias("before"))
    by_text = Window.partitionBy("text_hash").orderBy("ingested_at", "sample_id")
    among_new = F.sum(F.when(F.col("kind").isNull(), 1).otherwise(0)).over(by_text)
    place = (F.coalesce("before", F.lit(0)) + among_new).cast("int")
    return new.join(F.broadcast(before), on="text_hash", how="left").withColumn("text_place", place).drop("before")


def check(config: Config) -> None:
    """Raise BadInput for a distance at which look-alikes would be missed."""
    if not 0 <= config.max_bits < BANDS:
        raise BadInput(f"bad --max-bits {config.max_bits}: expected 0 to {BANDS - 1}, what {BANDS} bands can find")


def run(lake: Lake, config: Config) -> Counts:
    """Compare what is new with everything before it."""
    alike = f"--max-bits {config.max_bits} --max-colour {config.max_colour} --max-flat {config.max_flat}"
    begun_with = lake.setting(JOB.name)
    if begun_with not in (None, alike):
        raise BadInput(f"duplicates in this lake are found by {begun_with}: keep to that, or make another lake")

    def each(batch: DataFrame, txn: Txn) -> Counts:
        together = came_with(lake.read(SIGNALS), batch)
        _audit(lake, batch, together)
        with persisted(only_new(lake, DUPLICATES, together)) as new:
            found = find_repeats(new, lake.read(SIGNALS), config).collect()  # at most one row a row of the batch
            groups = roots([(row.sample_id, row.earlier_id) for row in found], _known_groups(lake, found))
            repeats = [(row.sample_id, groups[row.sample_id], row.earlier_id, row.kind, row.distance) for row in found]
            grouped = new.select("sample_id", "text_hash", "ingested_at").join(
                F.broadcast(lake.spark.createDataFrame(repeats, _REPEAT)), on="sample_id", how="left"
            )
            known = restrict(lake.read(DUPLICATES).select("text_hash", "text_place"), new, key="text_hash")
            placed = place_texts(grouped.withColumn("group_id", F.coalesce("group_id", "sample_id")), known)
            kinds = [row.kind for row in found]
            # Before the write: with it Spark forgets what it kept of the table, and nothing is new any more.
            counts = {"rows": new.count(), "exact": kinds.count("exact"), "perceptual": kinds.count("perceptual")}
            lake.settle(JOB.name, alike)
            lake.append(DUPLICATES, placed.drop("ingested_at"), txn=txn)
            return counts

    signals = lake.stream(SIGNALS, batch_bytes=config.batch_mb << 20, needs="measure_pairs")
    return run_increments(signals, each, checkpoint=lake.checkpoint(JOB.name), progress=Progress(JOB.name))


_REPEAT = "sample_id STRING, group_id STRING, earlier_id STRING, kind STRING, distance INT"


def _audit(lake: Lake, batch: DataFrame, signals: DataFrame) -> None:
    """Raise JoinAuditFailed unless ``signals`` has all pairs that came in when those of ``batch`` did.

    A pair that is measured later could be the earlier one: what is grouped has to be a whole beginning of the order
    of arrival, or the groups would depend on when this job ran.
    """
    pairs = came_with(lake.read(PAIRS), batch).select("sample_id")
    if pairs.count() == signals.count():
        return
    failed = lake.read(REJECTS).where(F.col("stage") == "measure_pairs").select(F.col("row_id").alias("sample_id"))
    audit_look_up(pairs.join(failed, on="sample_id", how="left_anti"), signals, needs="measure_pairs")


def _known_groups(lake: Lake, found: list[Row]) -> dict[str, str]:
    """Return sample_id -> group_id of the earlier pairs in ``found`` that repeat others themselves."""
    if not found or not lake.exists(DUPLICATES):
        return {}
    asked = lake.spark.createDataFrame([(name,) for name in {row.earlier_id for row in found}], "sample_id STRING")
    known = lake.read(DUPLICATES).where(F.col("kind").isNotNull()).select("sample_id", "group_id")
    return {row.sample_id: row.group_id for row in restrict(known, asked).collect()}


JOB = Job("dedup_pairs", Config, run, TABLES, RUNS, check=check)

if __name__ == "__main__":
    sys.exit(JOB.main())
