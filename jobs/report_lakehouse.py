"""All tables -> one HTML page that loads nothing: funnel, reasons, histograms, galleries, trainings, runs."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse import __version__
from lakehouse.cli import FROM_ZERO, POSITIVE
from lakehouse.errors import BadInput
from lakehouse.files import write_whole
from lakehouse.job import Job
from lakehouse.lake import Lake
from lakehouse.lake_root import is_local
from lakehouse.outcome import Counts
from schemas import TABLES
from schemas.bronze import PAIRS
from schemas.ops import RUNS
from udfs.report.page import page
from udfs.report.queries import QUERIES, Query
from udfs.report.retrieval import shown_ids
from udfs.report.thumbnails import THUMBNAILS, thumbnails
from udfs.report.trainings import read_trainings
from udfs.report.values import Answer, Report, Thumbnail, Training
from udfs.spark import map_batches

_SEED = 7
"""Of the hash that chooses what the galleries show: the same lake gives the same page."""


@dataclass(frozen=True)
class Config:
    """Write a report of the lake as it stands: one file that opens in any browser, also without a network."""

    lake: Annotated[str, "root of the lakehouse: a folder or a bucket"]
    out: Annotated[str, "file to write"] = "report.html"
    selection: Annotated[str, "which selection to tell of"] = "default"
    gallery: Annotated[int, "published pairs to show", FROM_ZERO] = 24
    each: Annotated[int, "rejected pairs to show of each reason", FROM_ZERO] = 4
    thumbnail: Annotated[int, "longest side of a thumbnail, in pixels", POSITIVE] = 208


def run(lake: Lake, config: Config) -> Counts:
    """Ask, draw, and write the page in one go: a reader never sees half of it."""
    if not is_local(config.out):
        raise BadInput(f"cannot write to {config.out!r}: expected a file of this machine")
    values: dict[str, str | int] = {
        "selection": config.selection,
        "gallery": config.gallery,
        "each": config.each,
        "seed": _SEED,
    }
    answers = {name: ask(lake, query, values) for name, query in QUERIES.items()}
    trainings = read_trainings(lake.root)
    images = small_images(lake, _ids(answers, trainings), side=config.thumbnail)
    report = Report(
        lake=lake.root,
        selection=config.selection,
        code_version=__version__,
        made_at=datetime.now(UTC),
        answers=answers,
        thumbnails=images,
        trainings=trainings,
    )
    text = page(report)
    Path(config.out).parent.mkdir(parents=True, exist_ok=True)
    write_whole(Path(config.out), text)
    answered = sum(not answer.missing for answer in answers.values())
    return {
        "figures": answered,
        "left_out": len(answers) - answered,
        "images": len(images),
        "bytes": len(text.encode()),
    }


def ask(lake: Lake, query: Query, values: Mapping[str, str | int]) -> Answer:
    """Return the answer to ``query``; where a table that it needs was never written, an answer that says so."""
    missing = tuple(name for name in query.needs if not lake.exists(lake.tables[name]))
    if missing:
        return Answer(missing=missing)
    frames: dict[str, Any] = {name.replace(".", "_"): lake.read(lake.tables[name]) for name in query.tables}
    rows = lake.spark.sql(query.template(values), **frames).collect()
    return Answer([row.asDict(recursive=True) for row in rows], query.shown(values))


def _ids(answers: Mapping[str, Answer], trainings: Sequence[Training]) -> list[str]:
    """Return the ids of all pairs that the page shows: a few hundred."""
    published = (row["sample_id"] for row in answers["gallery"].rows)
    rejected = (row[name] for row in answers["rejected"].rows for name in ("row_id", "kept_id") if row[name])
    compared = (row["sample_id"] for row in answers["compared"].rows)
    return list(dict.fromkeys([*published, *rejected, *compared, *shown_ids(trainings)]))


def small_images(lake: Lake, ids: Iterable[str], *, side: int) -> dict[str, Thumbnail]:
    """Return thumbnails of the pairs ``ids``, as far as they are in bronze.pairs.

    The ids travel to the images, and thumbnails come back. One scan of the images: the files hold ids in no order.
    """
    wanted = lake.spark.createDataFrame([(name,) for name in ids], "sample_id STRING")
    pairs = lake.read(PAIRS).select("sample_id", "alt_text", "width", "height", "image")
    rows = thumbnails_of(pairs.join(F.broadcast(wanted), on="sample_id", how="left_semi"), side=side).collect()
    return {row.sample_id: Thumbnail(row.image, row.alt_text, row.width, row.height) for row in rows}


def thumbnails_of(pairs: DataFrame, *, side: int) -> DataFrame:
    """Return the pairs with a small JPEG in place of each image."""
    return map_batches(pairs, partial(thumbnails, side=side), THUMBNAILS)


JOB = Job("report_lakehouse", Config, run, TABLES, RUNS)

if __name__ == "__main__":
    sys.exit(JOB.main())
