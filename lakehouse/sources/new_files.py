"""Files by name as a streaming source of Spark: what every source of ours that reads files itself is built on.

Spark's own file stream spends 4 ms on each file (it starts an ``ls`` for it on a local disk: 33 s for 8,000 images),
passes over names that begin with an underscore, and over files much older than the newest one, without a word.
"""

import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.datasource import DataSource, DataSourceStreamReader, InputPartition
from pyspark.sql.streaming.datasource import ReadAllAvailable, ReadLimit, ReadMaxBytes, SupportsTriggerAvailableNow
from pyspark.sql.types import StructType

from lakehouse.sources.names import ending
from lakehouse.sources.source_row import Limits
from lakehouse.sources.storage import walk

_PARTITION_BYTES = 32 << 20
# What opening a file costs, in bytes read meanwhile: tiny files make no tiny tasks and no endless ones.
_OPEN_BYTES = 16 << 10


def new_files(spark: SparkSession, root: str, endings: tuple[str, ...], limits: Limits) -> DataFrame:
    """Return ``name``, relative to ``root``, and ``length`` in bytes of the files that end so, as a stream."""
    spark.dataSource.register(NewFiles)
    options = {"path": root, "endings": ",".join(endings), "batch_bytes": str(limits.batch_bytes)}
    return spark.readStream.format(NewFiles.name()).options(**options).load()


class NewFilesReader(DataSourceStreamReader, SupportsTriggerAvailableNow):
    """Which files are new. Subclasses say which files there are, and what one partition holds.

    The offset is the set of the names read so far, packed: names are no order of arrival, and times of files lie (a
    file copied with its old time must not be missed). It takes 2 to 20 bytes a name and is written every batch, which
    is good for a million files; more of them belong into tars.
    """

    def __init__(self, batch_bytes: int) -> None:
        self._batch_bytes = batch_bytes
        self._last: dict[str, int] | None = None

    def sizes(self) -> dict[str, int]:
        """Return name and bytes of every file that is there."""
        raise NotImplementedError

    def initialOffset(self) -> dict[str, Any]:  # noqa: N802
        """Return the offset before the first file."""
        return offset_of(frozenset())

    def getDefaultReadLimit(self) -> ReadLimit:  # noqa: N802
        """Return how many bytes of files one micro-batch takes up."""
        return ReadMaxBytes(self._batch_bytes)

    def prepareForTriggerAvailableNow(self) -> None:  # noqa: N802
        """Note the files that are there: the query ends with them."""
        self._last = self.sizes()

    def latestOffset(self, start: dict[str, Any], limit: ReadLimit) -> dict[str, Any]:  # noqa: N802
        """Return ``start`` and the next new files by name, one at least, up to the limit's bytes together."""
        seen = names_in(start)
        sizes = self.sizes() if self._last is None else self._last
        new = {name: size for name, size in sorted(sizes.items()) if name not in seen}
        return offset_of(seen | set(_within(new, limit))) if new else start


@dataclass
class FilesPartition(InputPartition):
    """Some files: what one task reads."""

    files: list[tuple[str, int]]


class NewFiles(DataSource):
    """Format ``new_files``; options: path, endings with commas between, batch_bytes."""

    @classmethod
    def name(cls) -> str:
        """Return what goes into ``readStream.format``."""
        return "new_files"

    def schema(self) -> str:
        """Return the columns."""
        return "name STRING, length BIGINT"

    def streamReader(self, schema: StructType) -> "_NamesReader":  # noqa: N802
        """Return the reader that Spark asks."""
        return _NamesReader(self.options)


class _NamesReader(NewFilesReader):
    def __init__(self, options: Mapping[str, str]) -> None:
        super().__init__(int(options["batch_bytes"]))
        self._root = options["path"]
        self._endings = options["endings"].split(",")

    def sizes(self) -> dict[str, int]:
        return {name: size for folder in walk(self._root) for name, size in folder if ending(name) in self._endings}

    def partitions(self, start: dict[str, Any], end: dict[str, Any]) -> list[FilesPartition]:
        sizes = self.sizes() if self._last is None else self._last
        # After a restart a batch is planned again; a file that is gone by then is read all the same, and reported.
        new = [(name, sizes.get(name, 0)) for name in sorted(names_in(end) - names_in(start))]
        return [FilesPartition(files) for files in _shares(new)]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        names, sizes = zip(*cast(FilesPartition, partition).files, strict=True)
        yield pa.RecordBatch.from_arrays(
            [pa.array(names, pa.string()), pa.array(sizes, pa.int64())], ["name", "length"]
        )


def offset_of(names: frozenset[str]) -> dict[str, Any]:
    """Return the offset after these files; the same names give the same offset."""
    packed = zlib.compress(json.dumps(sorted(names)).encode())
    return {"files": len(names), "names": b64encode(packed).decode()}


def names_in(offset: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the files read before ``offset``."""
    return _unpacked(offset["names"])


@lru_cache(maxsize=4)
def _unpacked(packed: str) -> frozenset[str]:
    return frozenset(json.loads(zlib.decompress(b64decode(packed))))


def _within(sizes: Mapping[str, int], limit: ReadLimit) -> Iterator[str]:
    room = limit.max_bytes if isinstance(limit, ReadMaxBytes) else None
    if room is None and not isinstance(limit, ReadAllAvailable):
        raise ValueError(f"unknown read limit {limit!r}: expected bytes or all")
    taken = 0
    for name, size in sizes.items():
        taken += size
        if room is not None and taken > room and taken > size:
            return
        yield name


def _shares(files: list[tuple[str, int]]) -> Iterator[list[tuple[str, int]]]:
    share: list[tuple[str, int]] = []
    room = _PARTITION_BYTES
    for name, size in files:
        if share and room < size + _OPEN_BYTES:
            yield share
            share, room = [], _PARTITION_BYTES
        share.append((name, size))
        room -= size + _OPEN_BYTES
    if share:
        yield share
