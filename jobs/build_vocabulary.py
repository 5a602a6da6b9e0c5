"""silver.descriptions -> gold.tags: the tags that the trainer's tag classifier learns, most frequent first."""

import sys
from dataclasses import dataclass, replace
from typing import Annotated

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.cli import POSITIVE
from lakehouse.errors import BadInput
from lakehouse.job import Job
from lakehouse.lake import Lake
from lakehouse.outcome import Counts
from schemas import TABLES
from schemas.gold import TAGS
from schemas.ops import RUNS
from schemas.silver import DESCRIPTIONS
from udfs.vocabulary import version_of


@dataclass(frozen=True)
class Config:
    """Make a tag vocabulary, unless there is one: new rows use the one there is, so that tag ids stay what they are."""

    lake: Annotated[str, "root of the lakehouse: a folder or a bucket"]
    size: Annotated[int, "most tags to keep", POSITIVE] = 2000
    min_samples: Annotated[int, "fewest samples that a tag must stand in, where any does", POSITIVE] = 3
    rebuild: Annotated[bool, "make a new vocabulary from all descriptions; publish_gold then renumbers tag ids"] = False


def count_tags(descriptions: DataFrame, config: Config) -> DataFrame:
    """Return ``tag, samples`` of the most frequent positive tags; equal counts are in alphabetical order."""
    tags = descriptions.select("sample_id", F.explode("short_positive").alias("tag"))
    samples = F.count_distinct("sample_id").alias("samples")  # another model or prompt may have given it the same tag
    counted = tags.groupBy("tag").agg(samples).where(F.col("samples") >= config.min_samples)
    return counted.orderBy(F.desc("samples"), "tag").limit(config.size)


def run(lake: Lake, config: Config) -> Counts:
    """Make the vocabulary if there is none, or if asked."""
    if not config.rebuild and not lake.read(TAGS).isEmpty():
        return {}
    if not lake.exists(DESCRIPTIONS):
        raise BadInput(f"silver.descriptions is not there yet in {lake.root!r}: run describe_images first")
    descriptions = lake.read(DESCRIPTIONS)
    # At most config.size rows. A handful of pairs may share no tag: then all that there are count.
    counted = count_tags(descriptions, config).collect()
    counted = counted or count_tags(descriptions, replace(config, min_samples=1)).collect()
    if not counted:
        raise BadInput(f"nothing is described in {lake.root!r}: ops.rejects says why each pair was turned away")
    version = version_of([row.tag for row in counted])
    by_age = [row.vocabulary for row in _versions(lake).orderBy("built_at").collect()]
    if by_age and by_age[-1].split("-")[0] == version:
        return {}
    if version in by_age:
        version = f"{version}-{len(by_age)}"  # the newest is in use: one that comes back has to be newer
    rows = [(version, place, row.tag, row.samples) for place, row in enumerate(counted)]
    schema = "vocabulary STRING, tag_id INT, tag STRING, samples BIGINT"
    lake.append(TAGS, lake.spark.createDataFrame(rows, schema).withColumn("built_at", F.current_timestamp()))
    return {"tags": len(counted)}


def _versions(lake: Lake) -> DataFrame:
    return lake.read(TAGS).groupBy("vocabulary").agg(F.max("built_at").alias("built_at"))


JOB = Job("build_vocabulary", Config, run, TABLES, RUNS)

if __name__ == "__main__":
    sys.exit(JOB.main())
