"""A worker process of petastorm's pool: it has the bridge before it imports anything of petastorm."""

import logging
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

_ROOT = Path(__file__).parents[2]
# Last, so that it hides nothing that the call needs.
_CODE = f"import sys; sys.path.append({str(_ROOT)!r}); from lakehouse.stream.worker_process import run; run()"


def start(function: Callable[..., object], *arguments: object, **named: object) -> "subprocess.Popen[bytes]":
    """Call ``function`` in a new process and return that; it is not forked from this one.

    The call goes over in a file without a name: nothing of it stays behind, however the process ends.
    """
    import dill

    with tempfile.TemporaryFile() as call:
        pickle.dump(sys.path, call)
        dill.dump((function, arguments, named), call)
        call.seek(0)
        return subprocess.Popen([sys.executable, "-c", _CODE], stdin=call)  # noqa: S603 # the command is this module's


def run() -> None:
    """Make the call that came by the standard input."""
    import dill

    from lakehouse.stream import bridge  # noqa: F401 # before the call names anything of petastorm

    logging.basicConfig()
    sys.path[:] = pickle.load(sys.stdin.buffer)  # noqa: S301 # from the process that has started this one
    function, arguments, named = dill.load(sys.stdin.buffer)  # noqa: S301 # likewise
    function(*arguments, **named)
