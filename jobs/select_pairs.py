"""bronze.pairs, silver.signals, silver.duplicates -> silver.selections, silver.samples: keep what a filter lets by."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.errors import BadInput
from lakehouse.history import earlier_settings
from lakehouse.increments import Counts, run_increments
from lakehouse.job import Job
from lakehouse.joins import look_up, only_new, restrict
from lakehouse.lake import Lake, Txn
from lakehouse.progress import Progress
from lakehouse.rejects import reject
from schemas import TABLES
from schemas.bronze import PAIRS
from schemas.ops import REJECTS, RUNS
from schemas.silver import DUPLICATES, SAMPLES, SELECTIONS, SIGNALS
from udfs.filters import rules_of


@dataclass(frozen=True)
class Config:
    """Keep the pairs that are no duplicates and that a filter lets through; say why each other one was not kept."""

    lake: Annotated[str, "root of the lakehouse: a folder or a bucket"]
    selection: Annotated[str, "name of the filter: default, none, or a new name for the filter given with --where"] = (
        "default"
    )
    where: Annotated[str, "SQL over the columns of silver.signals and alt_text that a pair must meet as well"] = ""
    batch_mb: Annotated[int, "most image bytes a micro-batch takes in, in MB"] = 256


def judge(facts: DataFrame, rules: Mapping[str, str]) -> DataFrame:
    """Return ``sample_id`` and ``reason``: the first thing that speaks against the pair, or null.

    ``facts`` has the columns of silver.signals, alt_text, and ``kind`` of silver.duplicates, null for what stays.
    A rule that is null for a pair (a missing fact) speaks against it.
    """
    reason: Column = F.when(F.col("kind").isNotNull(), F.concat("kind", F.lit("_duplicate")))
    for name, rule in rules.items():
        reason = reason.when(~F.coalesce(F.expr(rule), F.lit(False)), F.lit(name))
    return facts.select("sample_id", reason.alias("reason"))


def run(lake: Lake, config: Config) -> Counts:
    """Judge what is new."""
    rules = rules_of(config.selection, config.where)
    _check(lake, rules)
    _check_name(lake, config)
    stage = f"{JOB.name}/{config.selection}"

    def each(batch: DataFrame, txn: Txn) -> Counts:
        pairs = _measurable(lake, batch).select("sample_id", "alt_text", "source", "source_uid")
        signals = look_up(pairs, lake.read(SIGNALS), needs="measure_pairs")
        if not lake.exists(DUPLICATES):
            raise BadInput(f"silver.duplicates is not there yet in {lake.root!r}: run dedup_pairs first")
        repeats = restrict(lake.read(DUPLICATES).select("sample_id", "kind", "kept_id"), pairs)
        facts = signals.join(F.broadcast(repeats), on="sample_id", how="left")
        verdicts = judge(facts, rules).persist()
        chosen = verdicts.where(F.col("reason").isNull()).select("sample_id")
        turned_away = verdicts.where(F.col("reason").isNotNull()).join(pairs, on="sample_id", how="inner")
        counts = {"selected": chosen.count(), "rejected": turned_away.count()}
        reject(lake, REJECTS, turned_away.withColumnRenamed("sample_id", "row_id"), stage=stage, txn=txn)
        _write_samples(lake, batch, facts, chosen, txn)
        selection = chosen.withColumn("selection", F.lit(config.selection))
        lake.append(SELECTIONS, _new_members(lake, selection, config.selection), txn=txn)
        verdicts.unpersist()
        return {"rows": sum(counts.values()), **counts}

    pairs = lake.stream(PAIRS, batch_bytes=config.batch_mb << 20, needs="ingest_pairs")
    checkpoint = lake.checkpoint(f"{JOB.name}/{config.selection}")
    progress = Progress(JOB.name, total=lake.backlog(PAIRS, checkpoint))
    return run_increments(pairs, each, checkpoint=checkpoint, progress=progress)


def _measurable(lake: Lake, pairs: DataFrame) -> DataFrame:
    """Return ``pairs`` without those that measure_pairs has turned away: their reason is written already."""
    failed = lake.read(REJECTS).where(F.col("stage") == "measure_pairs").select(F.col("row_id").alias("sample_id"))
    return pairs.join(F.broadcast(restrict(failed, pairs)), on="sample_id", how="left_anti")


def _write_samples(lake: Lake, batch: DataFrame, facts: DataFrame, chosen: DataFrame, txn: Txn) -> None:
    measured = facts.select("sample_id", "web_tags", "colours")
    wanted = only_new(lake, SAMPLES, measured.join(chosen, on="sample_id", how="left_semi"))
    pairs = batch.select("sample_id", "image_id", "image", "alt_text", "width", "height")
    lake.append(SAMPLES, pairs.join(F.broadcast(wanted), on="sample_id", how="inner"), txn=txn)


def _new_members(lake: Lake, members: DataFrame, selection: str) -> DataFrame:
    there = lake.read(SELECTIONS).where(F.col("selection") == selection).select("sample_id")
    return members.join(there, on="sample_id", how="left_anti")


def _check_name(lake: Lake, config: Config) -> None:
    """Raise BadInput if the name stands for other SQL already: one name, one choice."""
    before = earlier_settings(lake, RUNS, JOB.name, "selection", "where")
    others = [where for selection, where in before if selection == config.selection and where != config.where]
    if others:
        raise BadInput(
            f"selection {config.selection!r} was made with --where {others[0]!r}: choose another --selection"
        )


def _check(lake: Lake, rules: Mapping[str, str]) -> None:
    """Raise BadInput, with the columns there are, if a rule does not fit the signals."""
    facts = lake.read(SIGNALS).withColumns({"alt_text": F.lit(""), "kind": F.lit(None).cast("string")})
    try:
        judge(facts, rules).schema  # noqa: B018
    except AnalysisException as error:
        first = str(error).splitlines()[0]
        raise BadInput(f"the filter does not fit: {first}; it may use {', '.join(facts.columns)}") from error


JOB = Job("select_pairs", Config, run, TABLES, RUNS)

if __name__ == "__main__":
    sys.exit(JOB.main())
