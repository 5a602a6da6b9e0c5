"""silver.samples, descriptions, recaptions -> gold.captions, gold.training: what analysts ask and trainers read."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial, reduce
from typing import Annotated

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema

from jobs.promoting import MODEL, PROMPT, Writer, writer_of, writer_to_publish
from jobs.recaption_images import recap_author
from lakehouse.cli import POSITIVE
from lakehouse.errors import BadInput, JoinAuditFailed
from lakehouse.increments import run_increments
from lakehouse.job import Job
from lakehouse.joins import audit_look_up, holding, look_up, restrict
from lakehouse.lake import Lake, Txn
from lakehouse.outcome import Counts
from lakehouse.persisted import persisted
from lakehouse.progress import Progress
from lakehouse.rejects import reject
from lakehouse.session import row_groups_of
from schemas import TABLES
from schemas.bronze import PAIRS
from schemas.gold import CAPTIONS, TAGS, TEXTS, TRAINING
from schemas.ops import REJECTS, RUNS
from schemas.silver import DESCRIPTIONS, RECAPTIONS, SAMPLES, SELECTIONS
from schemas.stages import describing, selecting
from udfs.publish import image_maker, publish
from udfs.recaptions import LONG, SHORT
from udfs.spark import map_batches

BUCKETS = 1000

_CAPTIONS_FROM = ("request_key", "recap_request_keys")
"""What a row of captions is made from: where one of these is another, the row is made anew."""

_TRAINING_FROM = (*_CAPTIONS_FROM, "vocabulary", "image_policy", "split")
"""What a training row is made from."""

_RECAP_AUTHOR = {
    "model": "recap_model",
    "revision": "recap_revision",
    **{name: name for name in (f"{SHORT}_prompt_hash", f"{LONG}_prompt_hash")},
}
"""Who wrote the captions: name of the column in silver.recaptions -> in gold.captions."""


@dataclass(frozen=True)
class Config:
    """Publish every described sample of a selection for analysts and for trainers."""

    lake: Annotated[str, "root of the lakehouse: a folder or a bucket"]
    selection: Annotated[str, "which selection to publish"] = "default"
    model: Annotated[
        str, "whose texts to publish; by default whoever is promoted (compare_captions), else rules://"
    ] = ""
    prompt: Annotated[str, "which prompt's texts to publish; by default the promoted one's, else hqclip_student"] = ""
    recap_model: Annotated[str, "whose RECAP captions to publish as well; empty for none"] = ""
    recap_prompt: Annotated[str, "which two prompts' captions these are, as recaption_images has it"] = "recap"
    fit: Annotated[str, "crop: the shorter side has --pixels, the trainer crops; pad: all of it on a white square"] = (
        "crop"
    )
    pixels: Annotated[int, "shorter side of a training image, or side of the square, in pixels", POSITIVE] = 256
    held_out: Annotated[float, "share of images kept from training, by hash of the image"] = 0.1
    row_group: Annotated[int, "rows a Parquet row group: what a trainer reads at a time", POSITIVE] = 256
    batch_mb: Annotated[int, "most image bytes a micro-batch takes in, in MB", POSITIVE] = 256


def captions_of(described: DataFrame, pairs: DataFrame) -> DataFrame:
    """Return the rows of gold.captions: every text of each sample, with where they come from."""
    whole = look_up(described, pairs, needs="ingest_pairs")
    words = {f"{name}_words": F.size(F.split(F.trim(name), r"\s+")) for name in ("alt_text", "long_positive")}
    wanted = [name for name in CAPTIONS.column_names if name != "run_id"]
    return whole.withColumns(words).withColumn("is_copy_of_alt_text", _is_copy()).select(*wanted)


def _is_copy() -> Column:
    """Say whether the long text has no word that the alt-text has not, but for an opening such as: the image shows."""
    said, known = (F.split(F.lower(F.trim(name)), r"[^\p{L}\p{N}]+") for name in ("long_positive", "alt_text"))
    opening = F.array(*map(F.lit, ("", "a", "an", "image", "of", "picture", "shows", "the", "this")))
    return F.size(F.array_except(said, F.array_union(known, opening))) == 0


def training_rows(described: DataFrame, config: Config, *, vocabulary: str, positions: dict[str, int]) -> DataFrame:
    """Return the rows of gold.training, and ``reason``, null but for an image that cannot be read.

    They are in random order within each file: a sample_id is a hash.
    """
    rows = described.select("sample_id", "image_id", "image", *TEXTS, *_CAPTIONS_FROM)
    added = [pa.field("tag_ids", pa.list_(pa.int32())), pa.field("reason", pa.string())]
    # An image that cannot be read is null until its row is turned away.
    schema = pa.schema([*(field.with_nullable(True) for field in to_arrow_schema(rows.schema)), *added])
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


def check(config: Config) -> None:
    """Raise BadInput for a fit, a prompt or a model that there is not, and for a share that is none."""
    image_maker(config.fit, config.pixels)
    writer_of(config.model or MODEL, config.prompt or PROMPT)
    _recap(config)
    if not 0 <= config.held_out < 1:
        raise BadInput(f"bad --held-out {config.held_out}: expected a share, 0 to below 1")


def run(lake: Lake, config: Config) -> Counts:
    """Publish what is new."""
    writer, recap = writer_to_publish(lake, model=config.model, prompt=config.prompt), _recap(config)
    if lake.setting(JOB.name) not in (None, config.selection):
        # A release of two selections would hold what either turned away.
        raise BadInput(f"gold was published from selection {lake.setting(JOB.name)!r}: publish into another lake")
    vocabulary, positions = newest_vocabulary(lake)
    _audit_switch(lake, config, writer, recap)

    def each(batch: DataFrame, txn: Txn) -> Counts:
        lake.settle(JOB.name, config.selection)
        whole = _captioned(lake, _described(lake, batch, config.selection, writer), recap)
        with persisted(whole) as described:
            pairs = lake.read(PAIRS).select("sample_id", "source", "source_uid", "url", "licence")
            captions = captions_of(described, pairs)
            lake.upsert(CAPTIONS, captions, key="sample_id", unless_same=_CAPTIONS_FROM, txn=txn)
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
    checkpoint = checkpoint_of(lake, config, writer.author, recap.author if recap else {}, vocabulary)
    progress = Progress(JOB.name, total=lake.backlog(SAMPLES, checkpoint))
    counts = run_increments(samples, each, checkpoint=checkpoint, progress=progress)
    return {**counts, **_withdraw(lake, writer)}


def _recap(config: Config) -> Writer | None:
    """Return who wrote RECAP's captions; None where none are asked for."""
    if not config.recap_model:
        return None
    author = recap_author(config.recap_model, config.recap_prompt)
    return Writer(config.recap_model, config.recap_prompt, author, job="recaption_images")


def _audit_switch(lake: Lake, config: Config, writer: Writer, recap: Writer | None) -> None:
    """Raise JoinAuditFailed where gold has someone else's texts and those to publish do not cover the whole selection.

    Batch by batch that would show too late: gold would be left with the texts of both.
    """
    chosen = lake.read(SELECTIONS).where(F.col("selection") == config.selection).select("sample_id")
    described = holding(lake.read(DESCRIPTIONS), writer.author).select("sample_id")
    if not _of_others(lake, writer.author).isEmpty():
        _audit_cover(chosen, described.unionByName(_rejected(lake, describing(**writer.author))), writer)
    if recap and not _of_others(lake, {_RECAP_AUTHOR[name]: value for name, value in recap.author.items()}).isEmpty():
        captioned = holding(lake.read(RECAPTIONS), recap.author).select("sample_id")
        _audit_cover(chosen.join(described, on="sample_id", how="left_semi"), captioned, recap)


def _audit_cover(wanted: DataFrame, known: DataFrame, writer: Writer) -> None:
    left = wanted.join(known, on="sample_id", how="left_anti").count()
    if left:
        raise JoinAuditFailed(
            f"{writer.model} has not answered on {left:,} of {wanted.count():,} samples: run {writer.command} first"
        )


def _withdraw(lake: Lake, writer: Writer) -> Counts:
    """Take out of gold what someone else wrote: these are the samples that ``writer`` was asked about and failed on."""
    with persisted(_of_others(lake, writer.author)) as others:
        count = others.count()
        if not count:
            return {}
        # Captions last: where a run dies in between, they still say what the next one has to take out.
        for table in (TRAINING, CAPTIONS):
            lake.remove(table, others, key="sample_id")
        return {"withdrawn": count}


def _of_others(lake: Lake, author: Mapping[str, str]) -> DataFrame:
    """Return the ids of gold's samples whose texts are not by ``author``, by the names of gold's columns."""
    is_own = reduce(Column.__and__, (F.col(name).eqNullSafe(value) for name, value in author.items()))
    return lake.read(CAPTIONS).where(~is_own).select("sample_id")


def checkpoint_of(
    lake: Lake, config: Config, author: Mapping[str, str], recap: Mapping[str, str], vocabulary: str
) -> str:
    """Return where the stream of these settings is; it starts anew if rows of other settings have to be made anew.

    Where those are training rows, as after a run with other flags, it is said: that is hours of work on a large lake.
    """
    texts = (*author.values(), *recap.values())
    made = (config.selection, *texts, vocabulary, image_policy(config), str(config.held_out))
    if not lake.exists(TRAINING):
        return lake.checkpoint(JOB.name, *made)
    is_held_out = F.col("bucket") < round(config.held_out * BUCKETS)
    is_other_row = (
        (F.col("image_policy") != image_policy(config))
        | (F.col("vocabulary") != vocabulary)
        | (is_held_out != (F.col("split") == "held_out"))
    )
    captions = lake.read(CAPTIONS).select(*author, *_RECAP_AUTHOR.values()).distinct()
    asked_for = (*author.values(), *(recap.get(name) for name in _RECAP_AUTHOR))
    other = lake.read(TRAINING).where(is_other_row).select("image_policy").first()
    if other is not None:
        now = f"{image_policy(config)}, --held-out {config.held_out} and vocabulary {vocabulary[:12]}"
        print(f"note: gold.training, which has {other.image_policy}, is made anew: by {now}", file=sys.stderr)
    is_stale = {tuple(row) for row in captions.collect()} - {asked_for} or other is not None
    return lake.checkpoint(JOB.name, *made, *([f"over {lake.version(TRAINING)}"] if is_stale else []))


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


def _described(lake: Lake, samples: DataFrame, selection: str, writer: Writer) -> DataFrame:
    """Return the chosen samples with their texts; each must have been judged and, if chosen, been asked about."""
    ids = samples.select("sample_id")
    chosen = lake.read(SELECTIONS).where(F.col("selection") == selection).select("sample_id")
    judged = restrict(chosen.unionByName(_rejected(lake, selecting(selection))), ids)
    audit_look_up(ids, judged, needs=f"select_pairs --selection {selection}")
    wanted = samples.join(F.broadcast(restrict(chosen, ids)), on="sample_id", how="left_semi")
    descriptions = restrict(holding(lake.read(DESCRIPTIONS), writer.author), ids).drop("repairs", "run_id")
    failed = restrict(_rejected(lake, describing(**writer.author)), ids)
    failed = failed.join(descriptions, on="sample_id", how="left_anti")
    asked = wanted.join(F.broadcast(failed), on="sample_id", how="left_anti")
    whole = look_up(asked, descriptions, needs=writer.command)
    return whole.withColumn("web_text", web_text())


def _captioned(lake: Lake, described: DataFrame, recap: Writer | None) -> DataFrame:
    """Return the samples with RECAP's captions, of which each must have been asked for; nulls if none are wanted."""
    names = (SHORT, LONG, *_RECAP_AUTHOR.values())
    if recap is None:
        nothing = {name: F.lit(None).cast("string") for name in names}
        return described.withColumns({**nothing, "recap_request_keys": F.array().cast("array<string>")})
    # RECAP drops what has more than 77 tokens (section 4): CLIP would not read its end.
    texts = [F.when(~F.col(f"is_{kind}_over_77"), F.col(kind)).alias(kind) for kind in (SHORT, LONG)]
    keys = F.array(f"{SHORT}_request_key", f"{LONG}_request_key").alias("recap_request_keys")
    authors = [F.col(name).alias(gold) for name, gold in _RECAP_AUTHOR.items()]
    captions = holding(lake.read(RECAPTIONS), recap.author).select("sample_id", *texts, *authors, keys)
    return look_up(described, captions, needs=recap.command)


def web_text() -> Column:
    """Return the alt-text and, behind it, the tags that came with the image."""
    return F.concat_ws(". ", "alt_text", F.when(F.size("web_tags") > 0, F.array_join("web_tags", ", ")))


def _rejected(lake: Lake, stage: str) -> DataFrame:
    return lake.read(REJECTS).where(F.col("stage") == stage).select(F.col("row_id").alias("sample_id"))


JOB = Job("publish_gold", Config, run, TABLES, RUNS, check=check)

if __name__ == "__main__":
    sys.exit(JOB.main())
