"""WebDataset tars as a streaming source of Spark: a tar is read once, by one task, and never held."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO, cast

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.datasource import DataSource, InputPartition
from pyspark.sql.types import StructType

from lakehouse.sources.columns import Columns
from lakehouse.sources.new_files import NewFilesReader, names_in
from lakehouse.sources.samples import read_samples
from lakehouse.sources.schema import SOURCE_ROW
from lakehouse.sources.source_row import Limits, SourceRow, to_batches
from lakehouse.sources.storage import first_line, is_file, open_root, open_stream, speaks_against_the_file, walk
from lakehouse.sources.tar import Stream

TAR_ENDINGS = (".tar", ".tar.gz", ".tgz")
"""Endings of the files that are read as tars, in any case."""


def open_tars(spark: SparkSession, root: str, *, columns: Columns, limits: Limits) -> DataFrame:
    """Return the samples of every tar below ``root``, or of the one tar that ``root`` is, as a stream.

    A tar is one task: for more tasks than one at a time, ``batch_bytes`` must hold several tars.
    """
    spark.dataSource.register(WebDataset)
    options = {"path": root, "columns": json.dumps(asdict(columns)), "limits": json.dumps(asdict(limits))}
    return spark.readStream.format(WebDataset.name()).options(**options).load()


def is_tar(name: str) -> bool:
    """Say whether a file of this name is read as a tar."""
    return name.lower().endswith(TAR_ENDINGS)


def tar_stem(name: str) -> str:
    """Return the name of a tar without its ending.

    >>> tar_stem("a.b/00000.tar.gz")
    'a.b/00000'
    """
    return next(name[: -len(end)] for end in TAR_ENDINGS if name.lower().endswith(end))


def tar_sizes(root: str) -> dict[str, int]:
    """Return name and bytes of every tar below ``root``, or of the one tar that ``root`` is."""
    if is_tar(root) and is_file(root):
        files, path = open_root(root)
        info = files.get_file_info(path)
        return {info.base_name: info.size}
    return {name: size for folder in walk(root) for name, size in folder if is_tar(name)}


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


class WebDatasetReader(NewFilesReader):
    """Which tars are new, and what is in one."""

    def __init__(self, root: str, *, columns: Columns, limits: Limits) -> None:
        super().__init__(limits.batch_bytes)
        self._root = root
        self._columns = columns
        self._limits = limits

    def sizes(self) -> dict[str, int]:
        """Return name and bytes of every tar that is there."""
        return tar_sizes(self._root)

    def partitions(self, start: dict[str, Any], end: dict[str, Any]) -> list[TarPartition]:
        """Return one partition a tar."""
        return [TarPartition(name) for name in sorted(names_in(end) - names_in(start))]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Yield a tar's rows in batches of about 16 MB; a tar that is gone or broken is a row with a reason."""
        return to_batches(self._rows(cast(TarPartition, partition).name), source=self._root)

    def _rows(self, name: str) -> Iterator[SourceRow]:
        files, base = open_root(self._root)
        path = base if is_tar(base) and is_file(self._root) else f"{base}/{name}"
        # To open a pipe would be to wait for ever.
        if not files.get_file_info(path).is_file:
            yield SourceRow.rejected(name, "truncated_source", "no file to be read: gone, a broken link, or a device")
            return
        try:
            stream = open_stream(files, path)
        except OSError as error:
            if not speaks_against_the_file(error, self._root):
                raise
            yield SourceRow.rejected(name, "truncated_source", first_line(error))
            return
        with stream:
            tar = _unpacked(_Readable(stream, self._root), name)
            yield from read_samples(tar, tar=name, limits=self._limits, columns=self._columns)


@dataclass(frozen=True, slots=True)
class _Readable:
    """A file that ends, as a cut one does, where its disk cannot be read."""

    stream: Any
    root: str

    def read(self, size: int = -1, /) -> bytes:
        try:
            return bytes(self.stream.read(size))
        except OSError as error:
            if not speaks_against_the_file(error, self.root):
                raise
            raise EOFError(first_line(error)) from error


def _unpacked(stream: Stream, name: str) -> Stream:
    return stream if name.lower().endswith(".tar") else gzip.GzipFile(fileobj=cast(BinaryIO, stream))
