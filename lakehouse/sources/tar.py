"""Walk through a tar once, from start to end, whatever is wrong with it. Knows no Spark.

The standard library's ``tarfile`` ends without a word where a later header is damaged or cut, and reads extended
headers of any size into memory; so only its parser of one header block is used here.
"""

import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from gzip import BadGzipFile
from typing import Protocol

_BLOCK = 512
_CHUNK = 1 << 20
# A path longer than this is no path; a header that claims more is damaged or hostile.
_EXTENDED_BYTES = 64 << 10
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_EXTENDED = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_PAX_RECORD = re.compile(rb"(\d{1,8}) ([^=\n]{1,256})=")


class Stream(Protocol):
    """Bytes to be read once: an open file, a pipe, a gzip reader."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes, none at the end."""
        ...


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a tar that is no folder. ``data`` is None where the bytes were not asked for or are too many.

    ``kind`` is ``file`` or says what else it is: ``link``, ``device``, ``sparse file``.
    """

    name: str
    size: int
    offset: int
    kind: str
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Cut:
    """Where reading had to end before the end: byte offset, why, and the member's name if it is known."""

    offset: int
    detail: str
    name: str | None = None


class _Ended(Exception):
    """The stream ended, or cannot be unpacked, before the bytes that were asked for."""


def read_members(stream: Stream, *, limit: Callable[[str], int]) -> Iterator[Member | Cut]:
    """Yield the members in order; a ``Cut`` comes last, if at all.

    ``limit(name)`` says how many bytes of a member to read at most; a larger one comes with its size alone. An archive
    without its end-of-archive block is cut too: a copy that stopped between two members looks like that.
    """
    reader = _Reader(stream)
    while True:
        start, name = -(-reader.offset // _BLOCK) * _BLOCK, None
        try:
            header = _read_header(reader)
            if header is None:
                return
            name = header.name
            yield from _read_member(reader, header, start, limit)
        except _Ended as error:
            yield Cut(start, str(error), name)
            return
        except tarfile.HeaderError as error:
            yield Cut(start, f"damaged header at byte {start}: {error}", name)
            return


class _Reader:
    """A stream that knows its offset and says where it ended too early."""

    def __init__(self, stream: Stream) -> None:
        self.offset = 0
        self._stream = stream

    def take(self, size: int) -> bytes:
        """Return exactly ``size`` bytes."""
        parts: list[bytes] = []
        missing = size
        while missing:
            part = self._read(missing)
            parts.append(part)
            missing -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def skip(self, size: int) -> None:
        """Read ``size`` bytes and forget them."""
        while size:
            size -= len(self._read(min(size, _CHUNK)))

    def _read(self, size: int) -> bytes:
        try:
            part = self._stream.read(size)
        except (EOFError, BadGzipFile, zlib.error) as error:
            raise _Ended(f"cannot be unpacked after byte {self.offset}: {error}") from error
        if not part:
            where = f"ends at byte {self.offset}, before the end-of-archive block" if self.offset else "zero bytes"
            raise _Ended(where)
        self.offset += len(part)
        return part


def _read_header(reader: _Reader) -> tarfile.TarInfo | None:
    """Return the next member's header with its long name and size put in, or None at the end of the archive."""
    extended: dict[str, str] = {}
    while True:
        reader.skip(-reader.offset % _BLOCK)
        block = reader.take(_BLOCK)
        if not block.strip(b"\0"):
            return None
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        if header.size < 0:
            raise tarfile.HeaderError("negative size")
        if header.type == tarfile.XGLTYPE:
            reader.skip(header.size)
        elif header.type in _EXTENDED:
            extended |= _read_extended(reader, header)
        else:
            header.name = extended.get("path", header.name)
            header.size = _size(extended.get("size"), header.size)
            return header


def _read_extended(reader: _Reader, header: tarfile.TarInfo) -> dict[str, str]:
    if header.size > _EXTENDED_BYTES:
        raise tarfile.HeaderError(f"extended header of {header.size} bytes")
    data = reader.take(header.size)
    if header.type == tarfile.GNUTYPE_LONGNAME:
        return {"path": data.rstrip(b"\0").decode("utf-8", "surrogateescape")}
    return {} if header.type == tarfile.GNUTYPE_LONGLINK else _pax_records(data)


def _pax_records(data: bytes) -> dict[str, str]:
    records: dict[str, str] = {}
    while data:
        match = _PAX_RECORD.match(data)
        length = int(match[1]) if match else 0
        if match is None or not match.end() < length <= len(data):
            raise tarfile.HeaderError("damaged extended header")
        records[match[2].decode("utf-8", "replace")] = data[match.end() : length - 1].decode("utf-8", "surrogateescape")
        data = data[length:]
    return records


def _size(extended: str | None, plain: int) -> int:
    if extended is None:
        return plain
    if not re.fullmatch(r"[0-9]{1,18}", extended):
        raise tarfile.HeaderError(f"size {extended[:32]!r}")
    return int(extended)


def _read_member(reader: _Reader, header: tarfile.TarInfo, start: int, limit: Callable[[str], int]) -> Iterator[Member]:
    has_data = header.type in _FILES or header.type not in tarfile.SUPPORTED_TYPES or header.issparse()
    size = header.size if has_data else 0
    kind = _kind(header)
    if kind == "file" and size <= limit(header.name):
        yield Member(header.name, size, start, kind, reader.take(size))
        return
    reader.skip(size)
    if not header.isdir():
        yield Member(header.name, size, start, kind, None)


def _kind(header: tarfile.TarInfo) -> str:
    if header.issparse():
        return "sparse file"
    if header.type in _FILES:
        return "file"
    return "link" if header.issym() or header.islnk() else "device"
