"""The files below a folder, on this machine or in a bucket: looked at from the driver, read in the executors."""

import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator
from typing import Any, Final

import pyarrow.fs as pafs

from lakehouse.errors import BadInput
from lakehouse.lake_root import is_local
from lakehouse.sources.names import is_hidden
from lakehouse.sources.source_row import is_utf8

NO_FILE: Final = -1
"""Stands for the size of what has a name and cannot be read: a broken link, a pipe, a device, a name not in UTF-8."""

_BUFFER = 4 << 20
# These say something of the process or of a network, nothing of the file.
_PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT)


def open_root(root: str) -> tuple[Any, str]:
    """Return Arrow's file system for ``root`` and the path of ``root`` in it; credentials come from the environment."""
    if root.startswith("dbfs:/"):
        root = "/dbfs/" + root.removeprefix("dbfs:/").lstrip("/")
    if is_local(root):
        return pafs.LocalFileSystem(), os.path.abspath(root)
    try:
        files, path = pafs.FileSystem.from_uri(re.sub(r"^s3[an]://", "s3://", root))
    except (ValueError, OSError) as error:
        raise BadInput(f"cannot open {root!r}: {first_line(error)}") from error
    return files, path


def is_file(path: str) -> bool:
    """Say whether ``path`` is a file."""
    files, inner = open_root(path)
    return bool(files.get_file_info(inner).is_file)


def is_delta(root: str) -> bool:
    """Say whether a Delta table lies at ``root``."""
    files, path = open_root(root)
    return len(files.get_file_info(pafs.FileSelector(f"{path}/_delta_log", allow_not_found=True))) > 0


def check_folder(root: str) -> None:
    """Raise BadInput unless ``root`` is a folder that can be listed."""
    files, path = open_root(root)
    try:
        info = files.get_file_info(path)
        if info.type == pafs.FileType.Directory:
            files.get_file_info(pafs.FileSelector(path))
            return
    except OSError as error:
        raise BadInput(f"cannot read {root!r}: {first_line(error)}") from error
    if info.type == pafs.FileType.NotFound:
        raise BadInput(f"no such folder: {root!r}")
    raise BadInput(f"{root!r} is a file: expected a folder of images, tars or Parquet files, or a Delta table")


def walk(root: str) -> Iterator[list[tuple[str, int]]]:
    """Yield, folder by folder and the upper ones first, the sorted names of its files relative to ``root`` with sizes.

    Hidden files and folders are left out; so are folders without files. What cannot be read has the size ``NO_FILE``.
    """
    files, base = open_root(root)
    waiting = [base]
    while waiting:
        folder = waiting.pop(0)
        found = sorted(_local_entries(folder) if is_local(root) else _remote_entries(files, folder), key=_path_of)
        seen = [(path, size) for path, size in found if not is_hidden(path.rpartition("/")[2])]
        waiting += [path for path, size in seen if size is None]
        names = [(_name(_relative(path, base)), size) for path, size in seen if size is not None]
        if names:
            yield names


def listed(root: str, names: Iterable[str]) -> set[str]:
    """Return those of ``names`` that ``walk`` gives, hidden ones among them."""
    files, base = open_root(root)
    asked = sorted(names)
    if is_local(root):
        return {name for name in asked if os.path.lexists(f"{base}/{name}") and _size(f"{base}/{name}") is not None}
    infos = files.get_file_info([f"{base}/{name}" for name in asked])
    return {name for name, info in zip(asked, infos, strict=True) if info.is_file}


def speaks_against_the_file(error: OSError, root: str) -> bool:
    """Say whether ``error`` will come again when the file is read again; a bucket's may be gone by then."""
    return isinstance(error, PermissionError) or (is_local(root) and error.errno not in _PASSING)


def open_stream(files: Any, path: str) -> Any:
    """Open a file to be read once from its start, as it lies there: Arrow would unpack what ends in .gz."""
    return files.open_input_stream(path, compression=None, buffer_size=_BUFFER)


def read_up_to(files: Any, path: str, size: int) -> bytes | None:
    """Return the file's bytes, at most ``size`` of them, or None if there is no such file."""
    # A pipe would be waited for until somebody writes into it.
    if isinstance(files, pafs.LocalFileSystem) and not os.path.isfile(path):
        return None
    try:
        with files.open_input_stream(path, compression=None) as stream:
            return bytes(stream.read(size))
    except FileNotFoundError:
        return None


def _remote_entries(files: Any, folder: str) -> Iterator[tuple[str, int | None]]:
    for info in files.get_file_info(pafs.FileSelector(folder)):
        if info.type in (pafs.FileType.Directory, pafs.FileType.File):
            yield info.path, info.size


def _local_entries(folder: str) -> Iterator[tuple[str, int | None]]:
    # Arrow leaves out links to nothing without a word, and fails at a name that is not UTF-8.
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise BadInput(f"cannot read the folder {folder!r}: {error.strerror}") from error
    for name in names:
        path = f"{folder.rstrip('/')}/{name}"
        yield path, _size(path)


def _size(path: str) -> int | None:
    """Return the bytes of a file of this machine, None for a folder, NO_FILE for anything else."""
    try:
        found = os.stat(path)
    except OSError:
        return NO_FILE
    if stat.S_ISDIR(found.st_mode):
        return NO_FILE if _leads_back(path) else None
    return found.st_size if stat.S_ISREG(found.st_mode) and is_utf8(path) else NO_FILE


def _leads_back(path: str) -> bool:
    """Say whether a folder is a link to one that it lies in: there is no end to what is below it."""
    if not os.path.islink(path):
        return False
    target, here = os.path.realpath(path), os.path.realpath(os.path.dirname(path))
    return os.path.commonpath([target, here]) == target


def _path_of(entry: tuple[str, int | None]) -> str:
    return entry[0]


def _name(relative: str) -> str:
    """Return a name in UTF-8; one that is not comes with a ``./`` before it, as no other file below the root has it."""
    if is_utf8(relative):
        return relative
    doubled = relative.replace("\\", r"\\")
    return "./" + doubled.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _relative(path: str, base: str) -> str:
    return path.removeprefix(base.rstrip("/")).lstrip("/")


def first_line(error: Exception) -> str:
    """Return the first line of what an error says, or its name if it says nothing."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
