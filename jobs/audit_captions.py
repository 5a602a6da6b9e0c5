"""gold.captions, gold.training -> gold.evaluations: are the captions of any use, judged on a sample?"""

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import MISSING, astuple, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Annotated

from pyspark.sql import DataFrame, Row, Window
from pyspark.sql import functions as F

from jobs.asking import AskingLimits, check_limits
from jobs.evaluating import append_metrics, is_evaluated
from jobs.judging import Judging, check_judge
from lakehouse.cli import POSITIVE
from lakehouse.errors import BadInput
from lakehouse.job import Job
from lakehouse.lake import Lake, Txn
from lakehouse.outcome import Counts
from lakehouse.session import task_slots
from schemas import TABLES
from schemas.gold import AUDIT_COUNTS, CAPTIONS, TRAINING
from schemas.ops import RUNS
from udfs.audit import (
    COMPARED_WITH_PROMPTS,
    KINDS,
    RATED,
    Findings,
    audit_prompts,
    audit_ratings,
    audit_similarity,
    audit_texts,
    digest_of,
)
from udfs.discrepancy import HashedNgrams
from udfs.models.scorers import load_scorer
from udfs.similarity import similarities, similarity_schema
from udfs.spark import map_stream
from udfs.user_prompts import MOST_PROMPTS, read_user_prompts

_SPARE = 20
"""So many times the sample is looked at to draw it: no stratum of a few per cent is missed."""


@dataclass(frozen=True, kw_only=True)
class Config(AskingLimits):
    """Audit a sample of the captions: can negatives be told without the image, how hard are they, and do texts fit."""

    rows: Annotated[int, "rows to sample: all of them come to the driver, texts only", POSITIVE] = 2000
    scorer: Annotated[
        str,
        "who compares texts with images: clip://FOLDER or hf://FOLDER, such as <lake>/_models/NAME; none by default",
    ] = ""
    user_prompts: Annotated[
        str, "file of prompts that people typed, one a line: how far are the texts from them? none by default"
    ] = ""
    judge: Annotated[
        str, "who looks at images and rates texts, 0 to 10: a model as describe_images takes it; none by default"
    ] = ""
    judge_prompt: Annotated[str, "name of the prompt file of the judge, or a file of your own that ends in .md"] = (
        "judge"
    )
    judged: Annotated[int, "rows that the judge is shown, with three texts each", POSITIVE] = 200


def stratified_sample(captions: DataFrame, *, rows: int, length: str = "long_positive_words") -> DataFrame:
    """Return at most ``rows`` of ``captions``: of each source, and of smaller and larger ``length``, as many as is due.

    Those with the lowest ids are drawn. An id is a hash: the same table gives the same rows, a random few of each kind.
    """
    few = lowest_ids(captions, rows=rows)
    cuts = few.agg(F.percentile(length, F.lit([1 / 3, 2 / 3]))).collect()[0][0] or [0, 0]
    third = sum((F.col(length) > cut).cast("int") for cut in cuts)
    kind = Window.partitionBy("source", third)
    place = F.row_number().over(kind.orderBy("sample_id")) / F.count("*").over(kind)
    return few.withColumn("place", place).orderBy("place", "sample_id").limit(rows).drop("place")


def lowest_ids(table: DataFrame, *, rows: int) -> DataFrame:
    """Return the rows with the lowest ids, about so many times ``rows`` as a stratified sample of ``rows`` looks at."""
    share = _SPARE * rows / max(table.count(), 1)
    # Of a table that is clustered by id, few files are read; and it is never sorted as a whole.
    return table if share >= 1 else table.where(F.col("sample_id") < f"{int(share * 16**12):012x}")


def check(config: Config) -> None:
    """Raise a LakehouseError for a scorer, a judge or prompts that there are not, and for limits that limit nothing."""
    if config.scorer:
        load_scorer(config.scorer)
    if config.user_prompts:
        read_user_prompts(config.user_prompts)
    if config.judge:
        check_judge(config.judge, config.judge_prompt)
        check_limits(config, config.judge)
    elif given := _given_for_the_judge(config):
        raise BadInput(f"{given[0]} has no meaning without --judge: no other part of the audit asks a model")


def _given_for_the_judge(config: Config) -> list[str]:
    """Return the flags that are not as they are by default, of those that only a judge makes use of."""
    others = ("rows", "scorer", "user_prompts", "judge")
    own = [one for one in fields(Config) if one.default is not MISSING and one.name not in others]
    return [f"--{one.name.replace('_', '-')}" for one in own if getattr(config, one.name) != one.default]


def run(lake: Lake, config: Config) -> Counts:
    """Audit the sample, unless it was audited so before."""
    if not lake.exists(CAPTIONS):
        raise BadInput(f"gold.captions is not there yet in {lake.root!r}: run publish_gold first")
    if config.dry_run:
        return _judging(lake, config).plan()
    rows = _sampled(lake, config.rows)
    if not rows:
        return {}
    audited, name = digest_of([row.asDict() for row in rows]), f"gold.captions/{config.rows}"
    counts = {}
    if not is_evaluated(lake, audited, f"{name}/texts"):
        counts["metrics_of_texts"] = _write(lake, audited, f"{name}/texts", audit_texts([row.asDict() for row in rows]))
    if config.scorer:
        counts |= _audit_similarity(lake, audited, name, rows, config.scorer)
    else:
        print("note: without --scorer, texts are not compared with images", file=sys.stderr)
    if config.user_prompts:
        counts |= _audit_prompts(lake, rows, config)
    if config.judge:
        counts |= _audit_ratings(lake, _judging(lake, config))
    if not counts:
        return {}
    if any(name.startswith("metrics_of") for name in counts):
        where = f"gold.evaluations, where name is '{JOB.name}', and in report_lakehouse"
        print(f"note: the figures are in {where}", file=sys.stderr)
    return {"rows": len(rows), **counts}


def _judging(lake: Lake, config: Config) -> Judging:
    rows = _sampled(lake, config.judged)
    return Judging.of(lake, config, rows, model=config.judge, prompt=config.judge_prompt)


def _audit_ratings(lake: Lake, judging: Judging) -> Counts:
    audited = digest_of([row.asDict() for row in judging.rows])
    dataset = f"gold.captions/{len(judging.rows)}/judge/{judging.name}"
    if not judging.rows or is_evaluated(lake, audited, dataset):
        return {}
    asked = judging.ask(JOB.name)
    ratings = judging.ratings()
    if ratings is None:
        print("note: not all texts are rated yet: run again to go on from here", file=sys.stderr)
        return asked
    if unread := sum(one[kind] is None for one in ratings for kind in RATED):
        asked_for = len(ratings) * len(RATED)
        print(f"note: {unread:,} of {asked_for:,} ratings could not be read from the judge's answers", file=sys.stderr)
    return {
        **asked,
        "judged": len(ratings),
        "metrics_of_ratings": _write(lake, audited, dataset, audit_ratings(ratings, rows=len(ratings))),
    }


def _sampled(lake: Lake, rows: int) -> Sequence[Row]:
    """Return the sample with its texts and, where it is published for trainers, what its image was made by."""
    keys = ("sample_id", "request_key", "recap_request_keys")
    columns = dict.fromkeys((*keys, "source", "long_positive_words", *KINDS, *COMPARED_WITH_PROMPTS))
    sample = stratified_sample(lake.read(CAPTIONS).select(*columns), rows=rows)
    policies = lake.read(TRAINING).select("sample_id", "image_policy")
    known = policies.join(F.broadcast(sample.select("sample_id")), on="sample_id", how="left_semi")
    return sample.join(F.broadcast(known), on="sample_id", how="left").collect()


def _audit_similarity(lake: Lake, audited: str, name: str, rows: Sequence[Row], uri: str) -> Counts:
    if not lake.exists(TRAINING):
        raise BadInput(f"gold.training is not there yet in {lake.root!r}: run publish_gold first")
    scorer = load_scorer(uri)
    dataset = f"{name}/similarity/{scorer.name}"
    if is_evaluated(lake, audited, dataset):
        return {}
    wanted = lake.spark.createDataFrame(
        [(row.sample_id, row.request_key) for row in rows], "sample_id STRING, request_key STRING"
    )
    scores = [row.asDict() for row in _scores(lake, wanted, uri).collect()]
    return {
        "compared": len(scores),
        "metrics_of_similarity": _write(lake, audited, dataset, audit_similarity(scores, rows=len(rows))),
    }


def _audit_prompts(lake: Lake, rows: Sequence[Row], config: Config) -> Counts:
    prompts = read_user_prompts(config.user_prompts)
    embedder = load_scorer(config.scorer) if config.scorer else HashedNgrams()
    few = [row.asDict() for row in sorted(rows, key=lambda row: str(row.sample_id))[:MOST_PROMPTS]]
    audited = digest_of(few, "recap_request_keys")
    typed = f"{Path(config.user_prompts).stem}@{hashlib.sha256(chr(10).join(prompts).encode()).hexdigest()[:12]}"
    dataset = f"gold.captions/{len(few)}/prompts/{typed}/{embedder.name}"
    if is_evaluated(lake, audited, dataset):
        return {}
    return {"metrics_of_prompts": _write(lake, audited, dataset, audit_prompts(few, prompts, embedder))}


def _scores(lake: Lake, wanted: DataFrame, uri: str) -> DataFrame:
    """Return the scores of the pairs ``wanted``: ids travel to the images, and numbers come back."""
    pairs = lake.read(TRAINING).select("sample_id", "request_key", "image", *KINDS)
    own = pairs.join(F.broadcast(wanted), on=["sample_id", "request_key"], how="left_semi").drop("request_key")
    # As many tasks as run at a time: each loads the model.
    return map_stream(own.coalesce(task_slots(lake.spark)), partial(similarities, uri=uri), similarity_schema())


def _write(lake: Lake, audited: str, dataset: str, found: Findings) -> int:
    """Write the counts, then the metrics, which say that the audit was made; return how many metrics."""
    about = {"checkpoint": F.lit(audited), "dataset": F.lit(dataset)}
    if found.tallies:
        schema = "figure STRING, place INT, label STRING, part STRING, n BIGINT"
        tallies = lake.spark.createDataFrame([astuple(one) for one in found.tallies], schema)
        # A run that died behind this line wrote them already.
        lake.append(AUDIT_COUNTS, tallies.withColumns(about), txn=Txn(f"{JOB.name}/{audited}/{dataset}", 1))
    return append_metrics(lake, found.metrics, checkpoint=audited, name=JOB.name, dataset=dataset)


JOB = Job("audit_captions", Config, run, TABLES, RUNS, check=check)

if __name__ == "__main__":
    sys.exit(JOB.main())
