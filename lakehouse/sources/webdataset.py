"""WebDataset tars as a streaming source of Spark: a tar is read once, by one task, and never held."""

import gzip
import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO, cast

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.datasource import DataSource, DataSourceStreamReader, InputPartition
from pyspark.sql.streaming.datasource import ReadAllAvailable, ReadLimit, ReadMaxBytes, SupportsTriggerAvailableNow
from pyspark.sql.types import StructType

from lakehouse.sources.columns import Columns
from lakehouse.sources.samples import read_samples
from lakehouse.sources.schema import SOURCE_ROW
from lakehouse.sources.source_row import Limits, SourceRow, to_batches
from lakehouse.sources.storage import open_root, open_stream, walk
from lakehouse.sources.tar import Stream

TAR_ENDINGS = (".tar", ".tar.gz", ".tgz")
"""Endings of the files that are read as tars, in any case."""


def open_tars(spark: SparkSession, root: str, *, columns: Columns, limits: Limits) -> DataFrame:
    """Return the samples of every tar below ``root``, or of the one tar that ``root`` is, as a stream."""
    spark.dataSource.register(WebDataset)
    options = {"path": root, "columns": json.dumps(asdict(columns)), "limits": json.dumps(asdict(limits))}
    return spark.readStream.format(WebDataset.name()).options(**options).load()


def is_tar(name: str) -> bool:
    """Say whether a file of this name is read as a tar."""
    return name.lower().endswith(TAR_ENDINGS)


class WebDataset(DataSource):
    """Format ``webdataset``; options: path, and as JSON objects the fields of Columns and Limits."""

    @classmethod
    def name(cls) -> str:
        """Return what goes into ``readStream.format``."""
        return "webdataset"

    def schema(self) -> StructType:
        """Return the columns, the same for every source."""
        return SOURCE_ROW

    def streamReader(self, schema: StructType) -> "WebDatasetReader":  # noqa: N802
        """Return the reader that Spark asks."""
        return WebDatasetReader(
            self.options["path"],
            columns=Columns(**json.loads(self.options.get("columns", "{}"))),
            limits=Limits(**json.loads(self.options.get("limits", "{}"))),
        )


@dataclass
class TarPartition(InputPartition):
    """One tar, by its name relative to the source."""

    name: str


class WebDatasetReader(DataSourceStreamReader, SupportsTriggerAvailableNow):
    """Which tars are new, and what is in one.

    The offset is the set of the names read so far, packed: names are no order of arrival, and times of files lie (a
    tar copied with its old time must not be missed). It grows with the tars, about 2 bytes each for numbered shards.
    """

    def __init__(self, root: str, *, columns: Columns, limits: Limits) -> None:
        self._root = root
        self._columns = columns
        self._limits = limits
        self._last: dict[str, int] | None = None

    def initialOffset(self) -> dict[str, Any]:  # noqa: N802
        """Return the offset before the first tar."""
        return _offset(set())

    def getDefaultReadLimit(self) -> ReadLimit:  # noqa: N802
        """Return how many bytes of tars one micro-batch takes up."""
        return ReadMaxBytes(self._limits.batch_bytes)

    def prepareForTriggerAvailableNow(self) -> None:  # noqa: N802
        """Note the tars that are there: the query ends with them."""
        self._last = self._tars()

    def latestOffset(self, start: dict[str, Any], limit: ReadLimit) -> dict[str, Any]:  # noqa: N802
        """Return ``start`` and the next new tars by name, one at least, up to the limit's bytes together."""
        seen = _names(start)
        sizes = self._tars() if self._last is None else self._last
        new = {name: size for name, size in sorted(sizes.items()) if name not in seen}
        return _offset(seen | set(_within(new, limit))) if new else start

    def partitions(self, start: dict[str, Any], end: dict[str, Any]) -> list[TarPartition]:
        """Return one partition a tar."""
        return [TarPartition(name) for name in sorted(_names(end) - _names(start))]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Yield a tar's rows in batches of about 16 MB; a tar that is gone or broken is a row with a reason."""
        name = cast(TarPartition, partition).name
        return to_batches(self._rows(name), source=self._root)

    def _rows(self, name: str) -> Iterator[SourceRow]:
        files, base = open_root(self._root)
        path = base if is_tar(base) and "/" not in name and base.endswith("/" + name) else f"{base}/{name}"
        try:
            stream = open_stream(files, path)
        except FileNotFoundError:
            yield SourceRow.rejected(name, "truncated_source", "the tar was there when it was listed, now it is gone")
            return
        with stream:
            yield from read_samples(_unpacked(stream, name), tar=name, limits=self._limits, columns=self._columns)

    def _tars(self) -> dict[str, int]:
        return tar_sizes(self._root)


def tar_sizes(root: str) -> dict[str, int]:
    """Return name and bytes of every tar below ``root``, or of the one tar that ``root`` is."""
    files, base = open_root(root)
    if is_tar(base):
        info = files.get_file_info(base)
        if info.is_file:
            return {info.base_name: info.size}
    return {name: size for folder in walk(root) for name, size in folder if is_tar(name)}


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


def _unpacked(stream: Any, name: str) -> Stream:
    return cast(Stream, stream if name.lower().endswith(".tar") else gzip.GzipFile(fileobj=cast(BinaryIO, stream)))


def _offset(names: set[str]) -> dict[str, Any]:
    packed = zlib.compress(json.dumps(sorted(names)).encode(), 9)
    return {"tars": len(names), "names": b64encode(packed).decode()}


def _names(offset: Mapping[str, Any]) -> set[str]:
    return set(json.loads(zlib.decompress(b64decode(offset["names"]))))
