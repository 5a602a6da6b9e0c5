"""gold.releases -> WebDataset tars or Parquet: a release for trainers that read no lake, without a JVM."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from jobs.train_clip import newest_release
from lakehouse.cli import FROM_ZERO, POSITIVE
from lakehouse.errors import BadInput
from lakehouse.export.folder import Written, open_folder
from lakehouse.export.rows import Rows
from lakehouse.export.shards import cut
from lakehouse.export.write import FORMATS, spend_written, write_shards
from lakehouse.lake_root import is_local
from lakehouse.outcome import Counts
from lakehouse.progress import Progress
from lakehouse.stream.crew import processors
from lakehouse.stream.delta import open_snapshot
from lakehouse.stream.faults import MAX_SKIPPED, Quota
from lakehouse.stream.mix import Mix
from lakehouse.stream.plan import Plan, make_plan
from lakehouse.stream.predicate import is_split, parse_predicate
from lakehouse.stream.releases import Release, read_release, table_location
from lakehouse.trainer_job import TrainerJob
from lakehouse.weights import parse_weights
from schemas.gold import RELEASES, TEXTS, TRAINING
from schemas.ops import RUNS

_MOST_THREADS = 16


@dataclass(frozen=True)
class Config:
    """Write the rows of a release as files that others read: images, every text, and one caption a row.

    A run that was cut off goes on where it was. A folder holds one split of one release.
    """

    lake: Annotated[str, "root of the lakehouse: a folder or a bucket"]
    out: Annotated[str, "local folder for the files: empty, or with the same export in it"]
    release: Annotated[str, "name of the release; the newest by default"] = ""
    format: Annotated[str, "webdataset: tars of jpg, json and txt; parquet: as datasets.load_dataset reads it"] = (
        "webdataset"
    )
    split: Annotated[str, "train or held_out"] = "train"
    mix: Annotated[str, "text columns and weights that the one caption is drawn from; the release's own by default"] = (
        ""
    )
    shard_rows: Annotated[int, "rows a file: 10,000 at 256 pixels are about 200 MB", POSITIVE] = 10_000
    threads: Annotated[int, "files written at a time; 0 for one a processor, 16 at most", FROM_ZERO] = 0
    max_skipped: Annotated[int, "rows of the export that may be left out because they cannot be read", FROM_ZERO] = (
        MAX_SKIPPED
    )


def run(root: str, run_id: str, config: Config) -> Counts:
    """Write what is not there yet of the export that is asked for."""
    if config.format not in FORMATS:
        raise BadInput(f"unknown --format {config.format!r}: expected one of {', '.join(FORMATS)}")
    if not is_local(config.out):
        raise BadInput(f"--out {config.out!r} is no local folder: export into one, and copy it to the bucket")
    lake, threads = root.replace("s3a://", "s3://", 1), config.threads or min(_MOST_THREADS, processors())
    release = read_release(lake, newest_release(root, config.release))
    plan = _plan(lake, release, config.split, threads)
    rows = _rows(plan, release, config)
    quota = Quota(config.max_skipped)
    for fault, count in plan.unreadable:
        quota.spend(fault, count)
    form = FORMATS[config.format]
    shards = cut(plan.rows, most=config.shard_rows)
    named = {form.name(shard.number, len(shards), config.split): shard for shard in shards}
    folder = open_folder(Path(config.out), _settings(release, rows, config))
    before = {name: one for name, one in folder.written().items() if name in named}
    spend_written(quota, before.values())
    missing = {name: shard for name, shard in named.items() if name not in before}
    progress = Progress("export_release", total=sum(map(len, missing.values())))
    write_shards(folder, missing, rows, form, threads=threads, quota=quota, tell=progress.add)
    _tell_skipped(quota)
    recorded = folder.written()
    after = {name: recorded[name] for name in named}
    if config.format == "webdataset":
        folder.write_sizes(after)
    return {"files": len(missing), "samples": progress.rows, "left_out": _left_out(plan, after)} if missing else {}


def _tell_skipped(quota: Quota) -> None:
    """Say what is missing from the export as it lies there, also where this run had nothing to write."""
    for reason, rows in sorted(quota.skipped.items()):
        first = next(fault for fault in quota.faults if fault.reason == reason)
        print(f"note: {rows:,} rows left out as {reason}, first in {first.file!r}: {first.detail}", file=sys.stderr)


def _left_out(plan: Plan, written: Mapping[str, Written]) -> int:
    """Return how many rows the whole export lacks, whichever run left them out."""
    wanted = int(plan.rows.sum()) + sum(rows for _, rows in plan.unreadable)
    return wanted - sum(one.rows for one in written.values())


def _plan(lake: str, release: Release, split: str, threads: int) -> Plan:
    snapshot = open_snapshot(table_location(lake, release.table_name), release.table_version)
    plan = make_plan(snapshot, parse_predicate(release.predicate) & is_split(split), threads=threads)
    if not plan.rows.sum() and not plan.unreadable:
        raise BadInput(f"release {release.release!r} has no row of split {split!r}: expected --split train or held_out")
    return plan


def _rows(plan: Plan, release: Release, config: Config) -> Rows:
    there = set(plan.snapshot.schema.names)
    texts = tuple(name for name in TEXTS if name in there)
    mix = Mix(parse_weights(config.mix)) if config.mix else release.mix
    mix.check(texts)
    return Rows(plan, texts, mix, release.seed)


def _settings(release: Release, rows: Rows, config: Config) -> dict[str, object]:
    """Return what two exports must agree in for their files to belong together."""
    return {
        "release": release.release,
        "table_version": release.table_version,
        "digest": release.digest,
        "predicate": release.predicate,
        "seed": release.seed,
        "format": config.format,
        "split": config.split,
        "mix": dict(rows.mix),
        "shard_rows": config.shard_rows,
        "texts": list(rows.texts),
    }


JOB = TrainerJob("export_release", Config, run, (RELEASES, TRAINING), RUNS)

if __name__ == "__main__":
    sys.exit(JOB.main())
