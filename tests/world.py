"""A lake that the whole path has gone through, made once for all tests that only look."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from schemas import TABLES
from tests.jobs.pictures import line_of, picture, write_pairs

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lakehouse.lake import Lake


@dataclass(frozen=True)
class World:
    """A folder of pairs, and the lake that they went into."""

    source: Path
    lake: "Lake"
    counts: Mapping[str, Mapping[str, int]]
    """What each job of the path said that it did."""


GOOD = 120

ROW_GROUP = 16
"""Rows a row group of gold.training."""


HELD_OUT = 0.3

PUBLISHED: Mapping[str, Any] = {"pixels": 40, "held_out": HELD_OUT, "row_group": ROW_GROUP}


def run_path(lake: "Lake", source: Path) -> dict[str, dict[str, int]]:
    """Run every Spark job of the path and return the counts of each."""
    from jobs import (
        build_vocabulary,
        dedup_pairs,
        describe_images,
        ingest_pairs,
        measure_pairs,
        publish_gold,
        release_training,
        select_pairs,
    )

    root = lake.root
    return {
        "ingest_pairs": dict(ingest_pairs.JOB.run(lake, ingest_pairs.Config(root, str(source)))),
        "measure_pairs": dict(measure_pairs.JOB.run(lake, measure_pairs.Config(root))),
        "dedup_pairs": dict(dedup_pairs.JOB.run(lake, dedup_pairs.Config(root))),
        "select_pairs": dict(select_pairs.JOB.run(lake, select_pairs.Config(root))),
        "describe_images": dict(describe_images.JOB.run(lake, describe_images.Config(lake=root))),
        "build_vocabulary": dict(build_vocabulary.JOB.run(lake, build_vocabulary.Config(root))),
        "publish_gold": dict(publish_gold.JOB.run(lake, publish_gold.Config(root, **PUBLISHED))),
        "release_training": dict(release_training.JOB.run(lake, release_training.Config(root))),
    }


@pytest.fixture(scope="session")
def world(spark: "SparkSession", tmp_path_factory: pytest.TempPathFactory) -> World:
    from lakehouse.lake import open_lake

    base = tmp_path_factory.mktemp("world")
    source = write_pairs(base / "pairs", count=GOOD, extra=({"file_name": "gone.png", "text": "nothing there"},))
    _write_bad(source)
    (base / "lake").mkdir()
    lake = open_lake(str(base / "lake"), spark=spark, tables=TABLES, run_id="")
    return World(source, lake, run_path(lake, source))


def _write_bad(source: Path) -> None:
    """Rows that ingest_pairs and select_pairs have to turn away."""
    (source / "empty.png").write_bytes(b"")
    (source / "words.jpg").write_text("this is no image")
    picture(0).save(source / "unnamed.png")
    (source / "copy.png").write_bytes((source / "0001.png").read_bytes())
    (source / "again.png").write_bytes((source / "0002.png").read_bytes())
    picture(3).point(lambda value: min(value + 2, 255)).save(source / "alike.png")
    picture(900).crop((0, 0, 20, 20)).save(source / "tiny.png")
    lines = {
        "empty.png": "An empty file",
        "words.jpg": "A text file",
        "copy.png": "The same image with other words",
        "again.png": line_of(2)["title"],
        "alike.png": "Nearly the same image",
        "tiny.png": "A tiny image",
    }
    with (source / "metadata.jsonl").open("a") as file:
        import json

        file.writelines(json.dumps({"file_name": name, "title": text}) + "\n" for name, text in lines.items())
