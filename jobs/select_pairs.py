"""bronze.pairs, silver.signals, silver.duplicates -> silver.selections, silver.samples: keep what a filter lets by."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.cli import POSITIVE, check_name
from lakehouse.errors import BadInput, JoinAuditFailed
from lakehouse.increments import run_increments
from lakehouse.job import Job
from lakehouse.joins import audit_look_up, came_with, only_new, restrict
from lakehouse.lake import Lake, Txn
from lakehouse.outcome import Counts, cause
from lakehouse.persisted import persisted
from lakehouse.progress import Progress
from lakehouse.rejects import reject
from schemas import TABLES
from schemas.bronze import PAIRS
from schemas.ops import REJECTS, RUNS
from schemas.silver import DUPLICATES, SAMPLES, SELECTIONS, SIGNALS
from schemas.stages import selecting
from udfs.filters import rules_of


@dataclass(frozen=True)
class Config:
    """Keep the pairs that a filter lets through, one of each group of look-alikes; say why each other was not kept."""

    lake: Annotated[str, "root of the lakehouse: a folder or a bucket"]
    selection: Annotated[str, "name of the choice: one name, one filter"] = "default"
    filter: Annotated[str, "named filter: default or none"] = "default"
    where: Annotated[str, "SQL over silver.signals, alt_text and text_place that a pair must meet as well"] = ""
    batch_mb: Annotated[int, "most image bytes a micro-batch takes in, in MB", POSITIVE] = 256


_CARRIED = ("sample_id", "source", "source_uid", "web_tags", "colours")
"""What the tables that a pair goes to want to know of it."""


def judge(facts: DataFrame, rules: Mapping[str, str]) -> DataFrame:
    """Return ``facts`` with ``reason``: the first rule that a pair does not meet, or null.

    ``facts`` has the columns of silver.signals, alt_text and text_place. A rule that is null for a pair (a missing
    fact) speaks against it.
    """
    reason: Column = F.lit(None).cast("string")
    for name, rule in reversed(list(rules.items())):
        reason = F.when(~F.coalesce(F.expr(rule), F.lit(False)), F.lit(name)).otherwise(reason)
    return facts.withColumn("reason", reason)


def keep_one_of_each_group(judged: DataFrame, kept: DataFrame) -> DataFrame:
    """Return ``judged`` with the reason, and the pair that stays as ``detail``, of all but one pair of each group.

    ``kept`` has ``group_id`` and ``kept_id`` of the groups of which one was selected before; of the others the first
    that passed the filter stays.
    """
    passed = F.col("reason").isNull()
    # min_by passes over rows whose order is null: only what passed can be the first.
    order = F.when(passed, F.struct("ingested_at", "sample_id"))
    first = F.min_by("sample_id", order).over(Window.partitionBy("group_id"))
    placed = judged.join(F.broadcast(kept), on="group_id", how="left")
    stays = placed.withColumn("stays_id", F.coalesce("kept_id", first))
    # A first gives way to none but an earlier choice of its group: what it repeats is not known.
    kind = F.coalesce("kind", F.lit("perceptual"))
    is_other = passed & (F.col("stays_id") != F.col("sample_id"))
    return stays.withColumns(
        {
            "reason": F.when(is_other, F.concat(kind, F.lit("_duplicate"))).otherwise(F.col("reason")),
            "detail": F.when(is_other, F.col("stays_id")),
        }
    ).select(*_CARRIED, "group_id", "reason", "detail")


def check(config: Config) -> None:
    """Raise BadInput for an unknown filter, and for a name that no file can have."""
    check_name("--selection", config.selection)
    rules_of(config.filter, config.where)


def run(lake: Lake, config: Config) -> Counts:
    """Judge what is new."""
    rules = rules_of(config.filter, config.where)
    _check_rules(lake, rules)
    _check_begun(lake, config.selection, rules)
    # What the selection is called in ops.rejects, and where it keeps its filter and its place in the stream.
    stage = selecting(config.selection)

    def each(batch: DataFrame, txn: Txn) -> Counts:
        pairs = came_with(lake.read(PAIRS), batch).select("sample_id", "alt_text", "source", "source_uid")
        with persisted(pairs) as came, persisted(_facts(lake, came)) as facts:
            _audit(lake, came, facts)
            judged = judge(facts, rules).select(*_CARRIED, "group_id", "kind", "ingested_at", "reason")
            verdicts = keep_one_of_each_group(judged, _kept(lake, judged, config.selection))
            here = F.broadcast(batch.select("sample_id"))
            with persisted(verdicts.join(here, on="sample_id", how="left_semi")) as ours:
                return write(ours, batch, txn)

    def write(verdicts: DataFrame, batch: DataFrame, txn: Txn) -> Counts:
        chosen, turned_away = verdicts.where(F.col("reason").isNull()), verdicts.where(F.col("reason").isNotNull())
        counts = {"selected": chosen.count(), "rejected": turned_away.count()}
        lake.settle(stage, json.dumps(dict(rules)))
        reject(lake, REJECTS, turned_away.withColumnRenamed("sample_id", "row_id"), stage=stage, txn=txn)
        _write_samples(lake, batch, chosen, txn)
        members = chosen.select("sample_id", "group_id", F.lit(config.selection).alias("selection"))
        lake.append(SELECTIONS, _new_members(lake, members, config.selection), txn=txn)
        return {"rows": sum(counts.values()), **counts}

    pairs = lake.stream(PAIRS, batch_bytes=config.batch_mb << 20, needs="ingest_pairs")
    checkpoint = lake.checkpoint(stage)
    progress = Progress(JOB.name, total=lake.backlog(PAIRS, checkpoint))
    return run_increments(pairs, each, checkpoint=checkpoint, progress=progress)


def _facts(lake: Lake, came: DataFrame) -> DataFrame:
    """Return ``came`` with its signals and its group; a pair that has none is not among them."""
    measured = lake.read(SIGNALS).join(F.broadcast(came), on="sample_id", how="inner")
    groups = lake.read(DUPLICATES).select("sample_id", "group_id", "kind", "text_place")
    return groups.join(F.broadcast(measured), on="sample_id", how="inner")


def _audit(lake: Lake, came: DataFrame, facts: DataFrame) -> None:
    """Raise JoinAuditFailed unless all of ``came``, but what measure_pairs has turned away, is in ``facts`` once."""
    rows, ids = facts.agg(F.count("*"), F.count_distinct("sample_id")).collect()[0]
    if rows != ids:
        raise JoinAuditFailed(f"{rows - ids:,} of {rows:,} rows came twice: expected one of each sample_id")
    if rows == came.count():
        return
    failed = lake.read(REJECTS).where(F.col("stage") == "measure_pairs").select(F.col("row_id").alias("sample_id"))
    left = came.join(F.broadcast(restrict(failed, came)), on="sample_id", how="left_anti")
    for table, needs in ((SIGNALS, "measure_pairs"), (DUPLICATES, "dedup_pairs")):
        audit_look_up(left, restrict(lake.read(table), left), needs=needs)


def _kept(lake: Lake, judged: DataFrame, selection: str) -> DataFrame:
    """Return ``group_id`` and ``kept_id`` of the groups in ``judged`` of which one is in the selection already."""
    members = lake.read(SELECTIONS).where(F.col("selection") == selection).select("group_id", "sample_id")
    return restrict(members, judged, key="group_id").groupBy("group_id").agg(F.min("sample_id").alias("kept_id"))


def _write_samples(lake: Lake, batch: DataFrame, chosen: DataFrame, txn: Txn) -> None:
    wanted = only_new(lake, SAMPLES, chosen.select("sample_id", "web_tags", "colours"))
    pairs = batch.select("sample_id", "image_id", "image", "alt_text", "width", "height")
    lake.append(SAMPLES, pairs.join(F.broadcast(wanted), on="sample_id", how="inner"), txn=txn)


def _new_members(lake: Lake, members: DataFrame, selection: str) -> DataFrame:
    there = lake.read(SELECTIONS).where(F.col("selection") == selection).select("sample_id")
    return members.join(there, on="sample_id", how="left_anti")


def _check_begun(lake: Lake, selection: str, rules: Mapping[str, str]) -> None:
    """Raise BadInput if the selection was begun with another filter, in this version of the code or an earlier one."""
    begun_with = lake.setting(selecting(selection))
    if begun_with not in (None, json.dumps(dict(rules))):
        raise BadInput(f"selection {selection!r} was made with another filter: give this one a name with --selection")


def _check_rules(lake: Lake, rules: Mapping[str, str]) -> None:
    """Raise BadInput, with the columns there are, if a rule does not fit them or is another at each asking."""
    facts = lake.read(SIGNALS).withColumns({"alt_text": F.lit(""), "text_place": F.lit(1)})
    try:
        judge(facts, rules).schema  # noqa: B018
        # A pair may be judged twice, after a cut or with a later batch: what Spark lets no aggregate hold may differ.
        facts.agg(F.count("*"), *(F.count_if(F.expr(rule)) for rule in rules.values())).schema  # noqa: B018
    except AnalysisException as error:
        if error.getCondition() == "AGGREGATE_FUNCTION_WITH_NONDETERMINISTIC_EXPRESSION":
            raise BadInput("the filter is not the same twice: for a share of all, hash(sample_id) % 10 = 0") from error
        raise BadInput(f"the filter does not fit: {cause(error)}; it may use {', '.join(facts.columns)}") from error


JOB = Job("select_pairs", Config, run, TABLES, RUNS, check=check)

if __name__ == "__main__":
    sys.exit(JOB.main())
