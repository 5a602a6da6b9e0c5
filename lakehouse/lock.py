"""One job at a time on a local lake: Delta promises nothing to two drivers on one local file system."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lakehouse.errors import BadInput, LakeInUse
from lakehouse.lake_root import is_local


@contextmanager
def hold(root: str, job: str) -> Iterator[None]:
    """Hold the lake at ``root`` for ``job`` inside the block; raise LakeInUse, naming the holder, if another has it.

    The operating system lets go of the lock when the process ends, however it ends. A bucket is not locked: there
    the table format's own commits decide.
    """
    if not is_local(root):
        yield
        return
    try:
        Path(root).mkdir(parents=True, exist_ok=True)
        handle = os.open(Path(root) / "_lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise BadInput(f"cannot use {root!r} as a lake: {error.strerror}") from error
    try:
        _lock(handle, root)
        os.truncate(handle, 0)
        os.pwrite(handle, f"{job} (process {os.getpid()})".encode(), 0)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, root: str) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(handle, 200, 0).decode(errors="replace") or "another job"
        raise LakeInUse(f"{root!r} is in use by {holder}: wait for it, or use another --lake") from error
