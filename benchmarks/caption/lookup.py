"""What it costs to find out which of a thousand new rows are answered, before a ledger of few and of many answers."""

import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from benchmarks.caption.servers import Server, serving
from benchmarks.samples import add_samples
from jobs import describe_images
from lakehouse.lake import Lake, open_lake
from lakehouse.ledger import Ledger
from schemas import TABLES
from schemas.silver import RESPONSES
from udfs.ask import author_of
from udfs.prompts import read_prompt

ANSWERS: Final = (10_000, 10_000_000)
INCREMENT: Final = 1000
_ROUNDS: Final = 3
_ANYWHERE: Final = "openai+http://127.0.0.1:1/v1?model=tiny"
"""The model that is asked: its answers are the same wherever its server is."""
_A_COMMIT: Final = 1_000_000


def measure(folder: Path, spark: SparkSession) -> dict[str, Any]:
    """Return seconds of an increment, and of its look-up alone, before each ledger, and how much they grow."""
    lakes = {answers: _lake(folder / f"ledger-{answers}", spark, answers) for answers in ANSWERS}
    found: dict[int, list[tuple[float, float]]] = {answers: [] for answers in ANSWERS}
    with serving() as server:
        for turn in range(1 + _ROUNDS):
            for answers, lake in lakes.items():
                seconds = _increment(lake, server, turn), _look_up(lake)
                if turn:  # the first one starts the streams, and reads what is in the ledger
                    found[answers].append(seconds)
    medians = [[statistics.median(column) for column in zip(*found[answers], strict=True)] for answers in ANSWERS]
    return {
        "lookup_growth": round(medians[1][0] / medians[0][0], 3),
        "lookup_alone_growth": round(medians[1][1] / medians[0][1], 3),
        "increment_seconds": {answers: [one for one, _ in found[answers]] for answers in ANSWERS},
        "lookup_seconds": {answers: [one for _, one in found[answers]] for answers in ANSWERS},
    }


def _lake(folder: Path, spark: SparkSession, answers: int) -> Lake:
    lake = open_lake(str(folder), spark=spark, tables=TABLES, run_id="bench")
    for start in range(0, answers, _A_COMMIT):
        numbers = spark.range(start, min(start + _A_COMMIT, answers), 1, 2)
        lake.append(RESPONSES, numbers.select(*(value.alias(name) for name, value in _answer().items())))
    return lake


def _answer() -> Mapping[str, Column]:
    """Return the columns of an answer to a task that no job reads here, by the number ``id``."""
    keys = {name: F.sha2(F.concat(F.lit(name), F.col("id")), 256) for name in ("request_key", "sample_id")}
    said = {"answer": F.concat(F.lit("what is seen in image "), F.col("id"))}
    about = {"task": "bench", "prompt": "hqclip_student", **_author(_ANYWHERE)}
    plain = {**about, "status": "answered", "cost_usd": 0.0, "seconds": 1.0}
    given = {**keys, **said, **{name: F.lit(value) for name, value in plain.items()}}
    given |= {"attempts": F.lit(1), "asked_at": F.current_timestamp()}
    names = [column for column in RESPONSES.columns if column.name != "run_id"]
    return {column.name: given.get(column.name, F.lit(None)).cast(column.type) for column in names}


def _author(model: str) -> dict[str, str]:
    return author_of(model, read_prompt("hqclip_student"))


def _increment(lake: Lake, server: Server, turn: int) -> float:
    add_samples(lake, INCREMENT, image_bytes=5_000, start=turn * INCREMENT)
    began = time.monotonic()
    counts = describe_images.JOB.run(lake, describe_images.Config(lake=lake.root, model=server.model))
    if counts["described"] != INCREMENT:
        raise RuntimeError(f"of {INCREMENT} rows, {counts['described']} were described")
    return round(time.monotonic() - began, 2)


def _look_up(lake: Lake) -> float:
    """Return the seconds to look up a thousand keys of which half are answered."""
    keys = lake.spark.range(-INCREMENT // 2, INCREMENT // 2)
    asked = keys.select(F.sha2(F.concat(F.lit("request_key"), F.col("id")), 256).alias("request_key"))
    began = time.monotonic()
    left = Ledger(lake, RESPONSES, "", _author(_ANYWHERE)).unanswered(asked).count()
    if left != INCREMENT // 2:
        raise RuntimeError(f"of {INCREMENT // 2} new keys, {left} were found to be new")
    return round(time.monotonic() - began, 2)
