"""silver.samples, silver.descriptions -> gold.captions, gold.training: what analysts ask and trainers read."""

import sys
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema

from jobs.describe_images import failures_of
from lakehouse.errors import BadInput
from lakehouse.history import earlier_settings
from lakehouse.increments import Counts, run_increments
from lakehouse.job import Job
from lakehouse.joins import audit_look_up, look_up, restrict
from lakehouse.lake import Lake, Txn
from lakehouse.persisted import persisted
from lakehouse.progress import Progress
from lakehouse.rejects import reject
from lakehouse.session import row_groups_of
from schemas import TABLES
from schemas.bronze import PAIRS
from schemas.gold import CAPTIONS, TAGS, TEXTS, TRAINING
from schemas.ops import REJECTS, RUNS
from schemas.silver import DESCRIPTIONS, SAMPLES, SELECTIONS
from udfs.prompts import read_prompt
from udfs.publish import image_maker, publish
from udfs.spark import map_batches

BUCKETS = 1000

_TRAINING_FROM = ("request_key", "vocabulary", "image_policy", "split")
"""What a training row is made from: where one of these is another, the row is made anew."""


@dataclass(frozen=True)
class Config:
    """Publish every described sample of a selection for analysts and for trainers."""

    lake: Annotated[str, "root of the lakehouse: a folder or a bucket"]
    selection: Annotated[str, "which selection to publish"] = "default"
    model: Annotated[str, "whose texts to publish"] = "rules://"
    prompt: Annotated[str, "which prompt's texts to publish"] = "hqclip_student"
    fit: Annotated[str, "crop: the shorter side has --pixels, the trainer crops; pad: all of it on a white square"] = (
        "crop"
    )
    pixels: Annotated[int, "shorter side of a training image, or side of the square, in pixels"] = 256
    held_out: Annotated[float, "share of images kept from training, by hash of the image"] = 0.1
    row_group: Annotated[int, "rows a Parquet row group: what a trainer reads at a time"] = 256
    batch_mb: Annotated[int, "most image bytes a micro-batch takes in, in MB"] = 256


def captions_of(described: DataFrame, pairs: DataFrame) -> DataFrame:
    """Return the rows of gold.captions: every text of each sample, with where they come from."""
    whole = look_up(described, pairs, needs="ingest_pairs")
    words = {f"{name}_words": F.size(F.split(F.trim(name), r"\s+")) for name in ("alt_text", "long_positive")}
    wanted = [name for name in CAPTIONS.column_names if name != "run_id"]
    return whole.withColumns(words).select(*wanted)


def training_rows(described: DataFrame, config: Config, *, vocabulary: str, positions: dict[str, int]) -> DataFrame:
    """Return the rows of gold.training, and ``reason``, null but for an image that cannot be read.

    They are in random order within each file: a sample_id is a hash.
    """
    rows = described.select("sample_id", "image_id", "image", *TEXTS, "request_key")
    added = [pa.field("tag_ids", pa.list_(pa.int32())), pa.field("reason", pa.string())]
    schema = pa.schema([*to_arrow_schema(rows.schema), *added])
    made = map_batches(rows, partial(publish, fit=config.fit, pixels=config.pixels, positions=positions), schema)
    bucket = bucket_of("image_id")
    split = F.when(bucket < round(config.held_out * BUCKETS), "held_out").otherwise("train")
    settings = {"vocabulary": F.lit(vocabulary), "image_policy": F.lit(image_policy(config))}
    placed = made.withColumns({"bucket": bucket, "split": split, **settings})
    return placed.sortWithinPartitions("sample_id")


def image_policy(config: Config) -> str:
    """Return what made the training images, as it stands in their rows.

    >>> image_policy(Config(lake="x"))
    'jpeg-crop-256'
    """
    return f"jpeg-{config.fit}-{config.pixels}"


def bucket_of(image_id: str) -> Column:
    """Return 0 to BUCKETS - 1 by the hash of the image: pairs that share an image share the bucket."""
    number = F.conv(F.substring(image_id, 1, 8), 16, 10).cast("bigint")
    return F.pmod(number, F.lit(BUCKETS)).cast("int")


def run(lake: Lake, config: Config) -> Counts:
    """Publish what is new."""
    prompt_hash = read_prompt(config.prompt).sha256
    _check_selection(lake, config)
    vocabulary, positions = newest_vocabulary(lake)
    image_maker(config.fit, config.pixels)  # an unknown fit is said before any work
    if not 0 <= config.held_out < 1:
        raise BadInput(f"bad --held-out {config.held_out}: expected a share, 0 to below 1")

    def each(batch: DataFrame, txn: Txn) -> Counts:
        with persisted(_described(lake, batch, config, prompt_hash)) as described:
            pairs = lake.read(PAIRS).select("sample_id", "source", "source_uid", "url", "licence")
            lake.upsert(CAPTIONS, captions_of(described, pairs), key="sample_id", unless_same=("request_key",), txn=txn)
            made = training_rows(described, config, vocabulary=vocabulary, positions=positions)
            with persisted(made) as rows:
                return {"rows": batch.count(), **write(rows, txn)}

    def write(rows: DataFrame, txn: Txn) -> Counts:
        readable = rows.where(F.col("reason").isNull()).drop("reason")
        counts = {"published": readable.count(), "rejected": _turn_away(lake, rows, txn)}
        with row_groups_of(rows.sparkSession, config.row_group), row_groups_of(lake.spark, config.row_group):
            lake.upsert(TRAINING, readable, key="sample_id", unless_same=_TRAINING_FROM, txn=txn)
        return counts

    samples = lake.stream(SAMPLES, batch_bytes=config.batch_mb << 20, needs="select_pairs")
    checkpoint = lake.checkpoint(f"{JOB.name}/{_place(lake, config, prompt_hash, vocabulary)}")
    progress = Progress(JOB.name, total=lake.backlog(SAMPLES, checkpoint))
    return run_increments(samples, each, checkpoint=checkpoint, progress=progress)


def _place(lake: Lake, config: Config, prompt_hash: str, vocabulary: str) -> str:
    """Return the name of the stream of these settings; a new one if rows of other settings have to be made anew."""
    made = (config.model.replace("/", "_"), prompt_hash[:12], vocabulary, image_policy(config), str(config.held_out))
    place = "-".join((config.selection, *made))
    if not lake.exists(TRAINING):
        return place
    is_held_out = F.col("bucket") < round(config.held_out * BUCKETS)
    is_other_row = (
        (F.col("image_policy") != image_policy(config))
        | (F.col("vocabulary") != vocabulary)
        | (is_held_out != (F.col("split") == "held_out"))
    )
    is_other_text = (F.col("model") != config.model) | (F.col("prompt_hash") != prompt_hash)
    is_stale = not (
        lake.read(TRAINING).where(is_other_row).isEmpty() and lake.read(CAPTIONS).where(is_other_text).isEmpty()
    )
    return f"{place}-over-{lake.version(TRAINING)}" if is_stale else place


def _check_selection(lake: Lake, config: Config) -> None:
    """Raise BadInput if gold holds another selection: a release of the two would hold what either turned away."""
    others = {name for (name,) in earlier_settings(lake, RUNS, JOB.name, "selection")} - {config.selection}
    if others:
        raise BadInput(f"gold was published from selection {sorted(map(str, others))[0]!r}: publish into another lake")


def _turn_away(lake: Lake, rows: DataFrame, txn: Txn) -> int:
    bad = rows.where(F.col("reason").isNotNull()).select(F.col("sample_id").alias("row_id"), "reason")
    count = bad.count()
    if count:
        reject(lake, REJECTS, bad, stage=JOB.name, txn=txn)
    return count


def newest_vocabulary(lake: Lake) -> tuple[str, dict[str, int]]:
    """Return the version of the vocabulary in use, and its tags with their positions; at most a few thousand."""
    tags = lake.read(TAGS)
    newest = tags.orderBy(F.desc("built_at")).select("vocabulary").first()
    if newest is None:
        raise BadInput(f"gold.tags has no vocabulary yet in {lake.root!r}: run build_vocabulary first")
    version = str(newest.vocabulary)
    rows = tags.where(F.col("vocabulary") == version).select("tag", "tag_id").collect()
    return version, {row.tag: row.tag_id for row in rows}


def _described(lake: Lake, samples: DataFrame, config: Config, prompt_hash: str) -> DataFrame:
    """Return the chosen samples with their texts; each must have been judged and, if chosen, been asked about."""
    ids = samples.select("sample_id")
    chosen = lake.read(SELECTIONS).where(F.col("selection") == config.selection).select("sample_id")
    stage = f"select_pairs/{config.selection}"
    audit_look_up(
        ids,
        restrict(chosen.unionByName(_rejected(lake, stage)), ids),
        needs=f"select_pairs --selection {config.selection}",
    )
    wanted = samples.join(F.broadcast(restrict(chosen, ids)), on="sample_id", how="left_semi")
    is_ours = (F.col("model") == config.model) & (F.col("prompt_hash") == prompt_hash)
    texts = (
        "long_positive",
        "short_positive",
        "long_negative",
        "short_negative",
        "request_key",
        "model",
        "prompt_hash",
    )
    # A model of a new revision has described a sample again: its newest words stand.
    newest = F.max_by(F.struct(*texts), "run_id").alias("newest")
    own = restrict(lake.read(DESCRIPTIONS).where(is_ours), ids).groupBy("sample_id").agg(newest)
    descriptions = own.select("sample_id", "newest.*")
    failed = restrict(_rejected(lake, failures_of(config.model)), ids).join(
        descriptions, on="sample_id", how="left_anti"
    )
    asked = wanted.join(F.broadcast(failed), on="sample_id", how="left_anti")
    whole = look_up(asked, descriptions, needs="describe_images")
    return whole.withColumn("web_text", web_text())


def web_text() -> Column:
    """Return the alt-text and, behind it, the tags that came with the image."""
    return F.concat_ws(". ", "alt_text", F.when(F.size("web_tags") > 0, F.array_join("web_tags", ", ")))


def _rejected(lake: Lake, stage: str) -> DataFrame:
    return lake.read(REJECTS).where(F.col("stage") == stage).select(F.col("row_id").alias("sample_id"))


JOB = Job("publish_gold", Config, run, TABLES, RUNS)

if __name__ == "__main__":
    sys.exit(JOB.main())
