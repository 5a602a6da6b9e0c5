"""silver.descriptions -> gold.tags: the tags that the trainer's tag classifier learns, most frequent first."""

import sys
from dataclasses import dataclass
from typing import Annotated

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

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
    size: Annotated[int, "most tags to keep"] = 2000
    min_samples: Annotated[int, "fewest samples that a tag must stand in"] = 3
    rebuild: Annotated[bool, "make a new vocabulary from all descriptions; publish_gold then renumbers tag ids"] = False


def count_tags(descriptions: DataFrame, config: Config) -> DataFrame:
    """Return ``tag, samples`` of the most frequent positive tags; equal counts are in alphabetical order."""
    tags = descriptions.select(F.explode(F.array_distinct("short_positive")).alias("tag"))
    counted = tags.groupBy("tag").agg(F.count("*").alias("samples")).where(F.col("samples") >= config.min_samples)
    return counted.orderBy(F.desc("samples"), "tag").limit(config.size)


def run(lake: Lake, config: Config) -> Counts:
    """Make the vocabulary if there is none, or if asked."""
    if not config.rebuild and not lake.read(TAGS).isEmpty():
        return {}
    if not lake.exists(DESCRIPTIONS):
        raise BadInput(f"silver.descriptions is not there yet in {lake.root!r}: run describe_images first")
    counted = count_tags(lake.read(DESCRIPTIONS), config).collect()  # at most config.size rows
    if not counted:
        raise BadInput(f"no tag stands in {config.min_samples} samples: lower --min-samples")
    version = version_of([row.tag for row in counted])
    if lake.read(TAGS).where(F.col("vocabulary") == version).isEmpty():
        rows = [(version, place, row.tag, row.samples) for place, row in enumerate(counted)]
        schema = "vocabulary STRING, tag_id INT, tag STRING, samples BIGINT"
        tags = lake.spark.createDataFrame(rows, schema).withColumn("built_at", F.current_timestamp())
        lake.append(TAGS, tags)
    return {"tags": len(counted)}


JOB = Job("build_vocabulary", Config, run, TABLES, RUNS)

if __name__ == "__main__":
    sys.exit(JOB.main())
