"""The files below a folder, on this machine or in a bucket: looked at from the driver, read in the executors."""

import os
import re
from collections.abc import Iterator
from typing import Any

import pyarrow.fs as pafs

from lakehouse.errors import BadInput
from lakehouse.lake_root import is_local
from lakehouse.sources.names import is_hidden

_BUFFER = 4 << 20


def open_root(root: str) -> tuple[Any, str]:
    """Return Arrow's file system for ``root`` and the path of ``root`` in it; credentials come from the environment."""
    if root.startswith("dbfs:/"):
        root = "/dbfs/" + root.removeprefix("dbfs:/").lstrip("/")
    if is_local(root):
        return pafs.LocalFileSystem(), os.path.abspath(root)
    try:
        files, path = pafs.FileSystem.from_uri(re.sub(r"^s3[an]://", "s3://", root))
    except (ValueError, OSError) as error:
        raise BadInput(f"cannot open {root!r}: {_first_line(error)}") from error
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
        raise BadInput(f"cannot read {root!r}: {_first_line(error)}") from error
    if info.type == pafs.FileType.NotFound:
        raise BadInput(f"no such folder: {root!r}")
    raise BadInput(f"{root!r} is a file: expected a folder of images, tars or Parquet files, or a Delta table")


def walk(root: str) -> Iterator[list[tuple[str, int]]]:
    """Yield, folder by folder and the upper ones first, the sorted names of its files relative to ``root`` with sizes.

    Hidden files and folders are left out; so are folders without files.
    """
    files, base = open_root(root)
    waiting = [base]
    while waiting:
        infos = sorted(files.get_file_info(pafs.FileSelector(waiting.pop(0))), key=lambda info: str(info.path))
        seen = [info for info in infos if not is_hidden(info.base_name)]
        waiting += [info.path for info in seen if info.type == pafs.FileType.Directory]
        names = [(_relative(info.path, base), info.size) for info in seen if info.type == pafs.FileType.File]
        if names:
            yield names


def open_stream(files: Any, path: str) -> Any:
    """Open a file to be read once from its start, as it lies there: Arrow would unpack what ends in .gz."""
    return files.open_input_stream(path, compression=None, buffer_size=_BUFFER)


def read_up_to(files: Any, path: str, size: int) -> bytes | None:
    """Return the file's bytes, at most ``size`` of them, or None if there is no such file."""
    try:
        with files.open_input_stream(path, compression=None) as stream:
            return bytes(stream.read(size))
    except FileNotFoundError:
        return None


def _relative(path: str, base: str) -> str:
    return path.removeprefix(base.rstrip("/")).lstrip("/")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
