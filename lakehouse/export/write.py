"""Writes the files of an export that are not there yet, several at a time, each from its own rows alone."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

import pyarrow as pa

from lakehouse.errors import StreamError
from lakehouse.export.folder import Folder, Written
from lakehouse.export.parquet import write_parquet
from lakehouse.export.rows import Rows, Skips
from lakehouse.export.shards import Shard
from lakehouse.export.tars import write_tar
from lakehouse.stream.faults import Fault, Quota

Progress = Callable[[int], None]
"""Is told of every file how many rows it has."""


@dataclass(frozen=True)
class Format:
    """How files of an export are named and written."""

    name: Callable[[int, int, str], str]
    """Of the file's number, of how many, and the split."""
    write: Callable[[BinaryIO, Iterable[pa.Table], Rows], int]


def _tar_name(number: int, _: int, __: str) -> str:
    return f"{number:05}.tar"


def _parquet_name(number: int, count: int, split: str) -> str:
    return f"{split}-{number:05}-of-{count:05}.parquet"


FORMATS: Mapping[str, Format] = {
    "webdataset": Format(_tar_name, lambda out, tables, rows: write_tar(out, tables, rows.texts)),
    "parquet": Format(
        _parquet_name, lambda out, tables, rows: write_parquet(out, tables, rows.texts, rows.plan.snapshot.schema)
    ),
}


def write_shards(
    folder: Folder, shards: Mapping[str, Shard], rows: Rows, form: Format, *, threads: int, quota: Quota, tell: Progress
) -> None:
    """Write ``shards``, by name of the file; raise StreamError when more rows were left out than ``quota`` allows.

    A file gets its name when it is whole, and is recorded then: what broke off is written again by the next run.
    """
    ended = threading.Event()

    def write(name: str, shard: Shard) -> tuple[Written, Skips]:
        skips = Skips()
        with folder.whole(name) as out:
            count = form.write(out, _until(ended, rows.of(shard, skips)), rows)
        return Written(name, count, skips.counts), skips

    with ThreadPoolExecutor(threads, thread_name_prefix="export") as executor:
        try:
            for written, skips in _done(executor, write, list(shards.items()), at_once=threads):
                for fault, skipped in skips.met:
                    quota.spend(fault, skipped)
                folder.record(written)
                tell(written.rows)
        finally:
            ended.set()


def spend_written(quota: Quota, written: Iterable[Written]) -> None:
    """Count in ``quota`` what earlier runs left out of the files that are there: it is one export, in however many."""
    for one in written:
        for reason, rows in one.skipped.items():
            quota.spend(Fault(reason, "left out by an earlier run", one.file), rows)


def _done(
    executor: ThreadPoolExecutor,
    write: Callable[[str, Shard], tuple[Written, Skips]],
    jobs: Sequence[tuple[str, Shard]],
    *,
    at_once: int,
) -> Iterator[tuple[Written, Skips]]:
    """Yield what came of each job as it ends; a few wait at a time, so that an error leaves no queue behind it."""
    left = iter(jobs)
    running: set[Future[tuple[Written, Skips]]] = set()
    while True:
        room = at_once - len(running)
        running |= {executor.submit(write, *job) for job in islice(left, room)}
        if not running:
            return
        ended, running = wait(running, return_when=FIRST_COMPLETED)
        for future in ended:
            yield future.result()


def _until(ended: threading.Event, tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Yield ``tables`` until another file has failed: then this one is not worth ending."""
    for table in tables:
        if ended.is_set():
            raise StreamError("given up, as another file of the export failed")
        yield table
