"""Run every job, in order, in one Spark session: from image + alt-text pairs to a trained and evaluated CLIP."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from jobs import (
    build_vocabulary,
    dedup_pairs,
    describe_images,
    evaluate_clip,
    ingest_pairs,
    measure_pairs,
    publish_gold,
    release_training,
    report_lakehouse,
    select_pairs,
    train_clip,
)
from lakehouse.cli import FROM_ZERO, POSITIVE, parse
from lakehouse.lake import Lake, open_lake
from lakehouse.lake_root import normal_root
from lakehouse.lock import hold
from lakehouse.outcome import Counts, finish, summary
from lakehouse.session import connect
from lakehouse.small_rows import read_rows
from schemas import TABLES
from schemas.gold import RELEASES


@dataclass(frozen=True)
class Config:
    """Run the whole path; what is done already is not done again."""

    lake: Annotated[str, "root of the lakehouse: a folder or a bucket"]
    source: Annotated[str, "folder of images, folder of WebDataset tars, folder of Parquet, or Delta table"]
    image_size: Annotated[int, "side of the square that the CLIP sees, in pixels", POSITIVE] = 64
    fit: Annotated[str, "pad: training images are whole, on a white square; crop: the trainer crops squares"] = "pad"
    pixels: Annotated[int, "side of a stored training image, in pixels: room for random crops", POSITIVE] = 72
    held_out: Annotated[float, "share of images kept from training, by hash of the image"] = 0.14
    mix: Annotated[str, "mix of texts of the release"] = "web_text=0.7,long_positive=0.3"
    report: Annotated[str, "file that the report is written to"] = "report.html"
    max_steps: Annotated[
        int, "stop each training after so many steps; 0 trains as long as the recipe says", FROM_ZERO
    ] = 0


RUNS_OF_CLIP = {"alt_text": "alt_text=1", "mix": ""}
"""Name of a training run -> its mix of texts; the empty one is the release's own."""


@dataclass(frozen=True)
class Step:
    """One job of the path: what it is called, and how it is run."""

    name: str
    run: Callable[[], Counts]


@dataclass(frozen=True)
class Done:
    """A step that was run: how long it took, and rows by what happened to them."""

    name: str
    seconds: float
    counts: Counts


def check(config: Config) -> None:
    """Raise BadInput for what one of the jobs could not do, before the first begins."""
    ingest, publish, release = _settings(config.lake, config)
    ingest_pairs.JOB.check(ingest)
    publish_gold.JOB.check(publish)
    release_training.JOB.check(release)


def _settings(root: str, config: Config) -> tuple[ingest_pairs.Config, publish_gold.Config, release_training.Config]:
    return (
        ingest_pairs.Config(root, config.source),
        publish_gold.Config(root, model="rules://", fit=config.fit, pixels=config.pixels, held_out=config.held_out),
        release_training.Config(root, mix=config.mix),
    )


def steps(lake: Lake, config: Config) -> Sequence[Step]:
    """Return the path's steps in order."""
    root = lake.root
    ingest, publish, release = _settings(root, config)
    before = [
        Step("ingest_pairs", lambda: ingest_pairs.JOB.run(lake, ingest)),
        Step("measure_pairs", lambda: measure_pairs.JOB.run(lake, measure_pairs.Config(root))),
        Step("dedup_pairs", lambda: dedup_pairs.JOB.run(lake, dedup_pairs.Config(root))),
        Step("select_pairs", lambda: select_pairs.JOB.run(lake, select_pairs.Config(root))),
        Step("describe_images", lambda: describe_images.JOB.run(lake, describe_images.Config(lake=root))),
        Step("build_vocabulary", lambda: build_vocabulary.JOB.run(lake, build_vocabulary.Config(root))),
        Step("publish_gold", lambda: publish_gold.JOB.run(lake, publish)),
        Step("release_training", lambda: release_training.JOB.run(lake, release)),
    ]
    training = [step for name, mix in RUNS_OF_CLIP.items() for step in _training(root, config, name, mix)]
    report = report_lakehouse.Config(root, out=config.report)
    return [*before, *training, Step("report_lakehouse", lambda: report_lakehouse.JOB.run(lake, report))]


def _training(root: str, config: Config, name: str, mix: str) -> list[Step]:
    train = train_clip.Config(root, name=name, mix=mix, image_size=config.image_size, max_steps=config.max_steps)
    evaluate = evaluate_clip.Config(root, name=name)
    return [
        Step(f"train_clip {name}", lambda: train_clip.JOB.run(train) if _is_enough(root) else {}),
        Step(f"evaluate_clip {name}", lambda: evaluate_clip.JOB.run(evaluate) if _is_enough(root) else {}),
    ]


def _is_enough(root: str) -> bool:
    """Say whether there is something to train on and something held out, and tell the user if not."""
    release = max(read_rows(root, RELEASES), key=lambda row: row["released_at"])
    if release["train_rows"] > 1 and release["held_out_rows"]:
        return True
    shown = f"{release['train_rows']} rows to train on, {release['held_out_rows']} held out"
    print(f"note: {shown}: too few, training is left out", file=sys.stderr)
    return False


def run(lake: Lake, config: Config) -> Iterator[Done]:
    """Run the steps, and yield each as it is done."""
    path = steps(lake, config)
    for number, step in enumerate(path, start=1):
        begun = time.monotonic()
        counts = step.run()
        done = Done(step.name, time.monotonic() - begun, counts)
        print(f"[{number}/{len(path)}] {summary(step.name, counts)} ({done.seconds:.1f} s)", file=sys.stderr)
        yield done


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line; return 0 when done, 1 when failed with one line."""
    config = parse(Config, argv, prog="run_pipeline")

    def work(logs: str | None) -> Counts:
        check(config)
        with hold(normal_root(config.lake), "run_pipeline"):
            spark = connect("run_pipeline", logs=logs)
            lake = open_lake(config.lake, spark=spark, tables=TABLES, run_id="")
            done = list(run(lake, config))
            return {"steps": len(done), "seconds": round(sum(step.seconds for step in done))}

    return finish("run_pipeline", config.lake, work)


if __name__ == "__main__":
    sys.exit(main())
