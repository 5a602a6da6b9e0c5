"""The journal: what was paid for is on disk before anything else happens to it, and no crash makes it be paid again.

A folder of files, one a writer, one record a line. A line carries its checksum: the end of a file that a kill cut off,
or a damaged line, is told from a record. In a bucket, where files do not grow, each ``keep`` makes a new one.
"""

import json
import os
import secrets
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from lakehouse.errors import BadInput
from lakehouse.lake_root import is_local

Record = dict[str, Any]


class Journal(Protocol):
    """One writer's file in the journal."""

    def write(self, record: Mapping[str, Any]) -> None:
        """Hand ``record`` to the system: in a folder of this machine it outlives the process from here on."""

    def keep(self) -> None:
        """Make what was written outlive the machine."""

    def close(self) -> None:
        """Keep what was written, and end."""


def open_journal(folder: str) -> Journal:
    """Return a writer into ``folder``, which is made if it is not there."""
    return _LocalJournal(folder) if is_local(folder) else _BucketJournal(folder)


def check_writable(folder: str) -> None:
    """Raise BadInput unless a journal can be written into ``folder``; of a bucket that shows when it is written."""
    if not is_local(folder):
        return
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise BadInput(f"cannot write a journal in {folder!r}: {error.strerror or error}") from error


def journal_files(folder: str) -> tuple[str, ...]:
    """Return the files of the journal in ``folder``, in the order of their names; none where there is no journal."""
    if is_local(folder):
        return tuple(sorted(str(file) for file in Path(folder).glob("*.jsonl")))
    system, path = _bucket(folder)
    from pyarrow.fs import FileSelector

    found = system.get_file_info(FileSelector(path, allow_not_found=True))
    scheme = folder.partition("://")[0]
    return tuple(sorted(f"{scheme}://{file.path}" for file in found if file.path.endswith(".jsonl")))


def read_records(files: Iterable[str]) -> Iterator[Record]:
    """Yield the records in ``files`` in the order of writing; lines that are not whole are passed over."""
    for file in files:
        for line in _content(file).split(b"\n"):
            record = _record(line)
            if record is not None:
                yield record


def sizes_of(files: Iterable[str]) -> dict[str, int]:
    """Return how many bytes each of ``files`` has now; those of a bucket, which never grow, have none."""
    return {file: Path(file).stat().st_size if is_local(file) else 0 for file in files}


def remove_files(files: Iterable[str]) -> None:
    """Remove ``files`` from the journal: for when what is in them is in a table."""
    for file in files:
        if is_local(file):
            Path(file).unlink(missing_ok=True)
        else:
            system, path = _bucket(file)
            system.delete_file(path)


class _LocalJournal:
    def __init__(self, folder: str) -> None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._handle: int | None = None

    def write(self, record: Mapping[str, Any]) -> None:
        if self._handle is None:  # not before: a task that finds all its answers leaves no file
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
            self._handle = os.open(Path(self._folder) / f"{secrets.token_hex(8)}.jsonl", flags, 0o644)
            _keep_folder(self._folder)
        left = _line(record)
        while left:
            left = left[os.write(self._handle, left) :]

    def keep(self) -> None:
        if self._handle is not None:
            os.fdatasync(self._handle)

    def close(self) -> None:
        if self._handle is not None:
            self.keep()
            os.close(self._handle)
            self._handle = None


class _BucketJournal:
    def __init__(self, folder: str) -> None:
        self._system, self._path = _bucket(folder)
        self._system.create_dir(self._path, recursive=True)
        self._writer = secrets.token_hex(8)
        self._lines: list[bytes] = []
        self._files = 0

    def write(self, record: Mapping[str, Any]) -> None:
        self._lines.append(_line(record))

    def keep(self) -> None:
        lines = tuple(self._lines)
        if lines:
            with self._system.open_output_stream(f"{self._path}/{self._writer}-{self._files:08}.jsonl") as stream:
                stream.write(b"".join(lines))
            # Only now: what a bucket did not take is written by the next call.
            self._files += 1
            del self._lines[: len(lines)]

    def close(self) -> None:
        self.keep()


def _line(record: Mapping[str, Any]) -> bytes:
    text = json.dumps(record, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _record(line: bytes) -> Record | None:
    checksum, _, text = line.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    record: Record = json.loads(text)
    return record


def _content(file: str) -> bytes:
    if is_local(file):
        return Path(file).read_bytes()
    system, path = _bucket(file)
    with system.open_input_stream(path) as stream:
        content: bytes = stream.read()
    return content


def _bucket(path: str) -> tuple[Any, str]:
    from pyarrow.fs import FileSystem

    # Spark calls Amazon's store s3a, everyone else s3.
    system, inner = FileSystem.from_uri(path.replace("s3a://", "s3://", 1))
    return system, inner


def _keep_folder(folder: str) -> None:
    # A file that is on disk, in a folder that is not, is lost with the power.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
