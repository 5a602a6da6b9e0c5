"""gold.training -> gold.releases: pin a version of the training table, so that anyone can rebuild the same batches."""

import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.errors import BadInput
from lakehouse.job import Job
from lakehouse.lake import Lake
from lakehouse.outcome import Counts, cause
from lakehouse.stream.predicate import parse_predicate
from lakehouse.weights import parse_weights
from schemas import TABLES
from schemas.gold import RELEASES, TAGS, TEXTS, TRAINING
from schemas.ops import RUNS

_DIGESTED = ("sample_id", "split", "request_key", "image_policy", "recap_request_keys")
"""What a row's part of a batch is made from: other texts or another image size are another release."""

_PINNED = ("predicate", "mix", "negatives", "seed", "vocabulary", "digest")
"""Two releases that agree in these give the same batches."""


@dataclass(frozen=True)
class Config:
    """Pin the training table as it is now: version, predicate, mix, seed and a digest of the rows."""

    lake: Annotated[str, "root of the lakehouse: a folder or a bucket"]
    release: Annotated[str, "name of the release; by default its number and the digest's beginning"] = ""
    predicate: Annotated[str, "SQL over split and bucket that a row must meet"] = "bucket >= 0"
    mix: Annotated[str, "text columns and their weights: alt_text=0.5,long_positive=0.5"] = (
        "alt_text=0.5,long_positive=0.5"
    )
    negatives: Annotated[str, "negative text columns and their weights"] = "long_negative=0.5,short_negative=0.5"
    seed: Annotated[int, "seed of the order and of the choice of text"] = 0


def digest(rows: DataFrame) -> DataFrame:
    """Return one row: ``train_rows``, ``held_out_rows`` and ``digest`` over all ids with their split.

    Buckets are hashed each on its own and then together, so that no task sees all ids; a bucket is a thousandth.
    """
    line = F.concat_ws(" ", *_DIGESTED)
    buckets = rows.groupBy("bucket").agg(
        F.sha2(F.concat_ws("\n", F.array_sort(F.collect_list(line))), 256).alias("hash"),
        F.count_if(F.col("split") == "train").alias("train"),
        F.count_if(F.col("split") == "held_out").alias("held_out"),
    )
    hashes = F.array_sort(F.collect_list(F.struct("bucket", "hash")))
    joined = F.concat_ws("\n", F.transform(hashes, lambda part: part["hash"]))
    return buckets.agg(
        F.sum("train").alias("train_rows"),
        F.sum("held_out").alias("held_out_rows"),
        F.sha2(joined, 256).alias("digest"),
    )


def check(config: Config) -> None:
    """Raise BadInput for a predicate that no trainer can read, and for a mix of what is no text."""
    parse_predicate(config.predicate)
    for mix in (config.mix, config.negatives):
        _mix(mix)


def run(lake: Lake, config: Config) -> Counts:
    """Make the release, or find that it is there: without a name it is to be the newest, which trainers take."""
    if not lake.exists(TRAINING):
        raise BadInput(f"gold.training is not there yet in {lake.root!r}: run publish_gold first")
    line = _line(lake, config)
    there = [row.asDict() for row in lake.read(RELEASES).orderBy("released_at").collect()]
    line["release"] = config.release or f"release-{len(there) + 1}-{line['digest'][:8]}"
    same = [row for row in there if all(row[name] == line[name] for name in _PINNED)]
    if config.release:
        if any(row["release"] == config.release for row in same):
            return {}
        if any(row["release"] == config.release for row in there):
            raise BadInput(f"release {config.release!r} is there with other rows or settings: choose another --release")
    elif same and same[-1] == there[-1]:
        return {}
    kinds = {column.name: column.type for column in RELEASES.columns if column.name != "run_id"}
    schema = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
    lake.append(RELEASES, lake.spark.createDataFrame([tuple(line[name] for name in kinds)], schema))
    return {"train_rows": line["train_rows"], "held_out_rows": line["held_out_rows"]}


def _line(lake: Lake, config: Config) -> dict[str, Any]:
    version = lake.version(TRAINING)
    pinned = lake.spark.read.format("delta").option("versionAsOf", version).load(lake.path(TRAINING))
    rows = _matching(pinned, config.predicate)
    facts = digest(rows).collect()[0].asDict()
    if not (facts["train_rows"] or facts["held_out_rows"]):
        raise BadInput(f"no row of gold.training meets {config.predicate!r}: nothing to release")
    vocabulary, tags = _vocabulary(lake, rows)
    return {
        "table_name": TRAINING.name,
        "table_version": version,
        "predicate": config.predicate,
        "mix": _mix(config.mix),
        "negatives": _mix(config.negatives),
        "seed": config.seed,
        "vocabulary": vocabulary,
        "tag_count": tags,
        **facts,
        "released_at": datetime.now(UTC),
    }


def _matching(rows: DataFrame, predicate: str) -> DataFrame:
    try:
        return rows.select(*_DIGESTED, "bucket", "vocabulary").where(F.expr(predicate))
    except AnalysisException as error:
        raise BadInput(f"bad predicate {predicate!r}: {cause(error)}") from error


def _vocabulary(lake: Lake, rows: DataFrame) -> tuple[str, int]:
    found = [row.vocabulary for row in rows.select("vocabulary").distinct().collect()]
    if len(found) != 1:
        raise BadInput(f"gold.training mixes tag vocabularies {sorted(found)}: run publish_gold to bring it to one")
    return found[0], lake.read(TAGS).where(F.col("vocabulary") == found[0]).count()


def _mix(text: str) -> str:
    """Return the mix ``text`` as JSON; raise BadInput, with the columns there are, for an unknown one."""
    weights = parse_weights(text)
    unknown = [name for name in weights if name not in TEXTS]
    if unknown:
        raise BadInput(f"no text column {unknown[0]!r} in gold.training: expected some of {', '.join(TEXTS)}")
    return json.dumps(weights)


JOB = Job("release_training", Config, run, TABLES, RUNS, check=check)

if __name__ == "__main__":
    sys.exit(JOB.main())
