"""Model servers that other people wrote: installed below build/, started at a free port, waited for, and ended."""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.request
import venv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent
BUILD = HERE.parents[1] / "build" / "servers"
INSTALL_SECONDS = 900
READY_SECONDS = 300
"""Two shared cores take up to a minute for vLLM."""

Command = Callable[[int], Sequence[str | Path]]
"""What starts a server, given its port."""


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    port: int
    model: str
    """What it calls its model."""
    log: Path
    installed_in: float
    """Seconds that installing it took, whenever that was."""
    ready_in: float
    """Seconds from its start to its first sign of health."""

    def uri(self, **settings: object) -> str:
        """Return its model's URI."""
        values = "".join(f"&{name}={value}" for name, value in settings.items())
        return f"openai+http://127.0.0.1:{self.port}/v1?model={self.model}{values}"

    @property
    def log_tail(self) -> str:
        """The last that it said."""
        return _tail(self.log)


def environment(name: str, *, gigabytes: float, here: Path = HERE, build: Path = BUILD) -> Path:
    """Return an environment of its own with what requirements-NAME.txt lists, made once; skip where it cannot be had.

    ``gigabytes`` is what it takes on disk; ``here`` is where the list is, ``build`` where environments are made.
    """
    folder, pins = build / name, here / f"requirements-{name}.txt"
    mark = folder / "installed"
    if mark.exists() and mark.read_text().startswith(_digest(pins)):
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    free = shutil.disk_usage(_made(build)).free / 1e9
    if free < gigabytes + 2:
        pytest.skip(f"{name} takes {gigabytes:g} GB of disk and {free:.1f} GB are free: it is not installed")
    began = time.monotonic()
    venv.create(folder, symlinks=True)
    _install(name, folder / "bin" / "python", pins)
    mark.write_text(f"{_digest(pins)} {time.monotonic() - began:.1f}")
    return folder


def beside_project(folder: Path) -> Path:
    """Return ``folder``, an environment, with the packages of the project's own behind its own."""
    (site,) = (folder / "lib").glob("python*/site-packages")
    (site / "project.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return folder


def _install(name: str, python: Path, pins: Path) -> None:
    uv = shutil.which("uv", path=Path(sys.executable).parent)
    tool = [uv, "pip", "install", "--python", python] if uv else [*_PIP, "--python", python, "install"]
    command = [*map(str, tool), "-q", "--no-deps", "-r", str(pins)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{name} could not be installed within {INSTALL_SECONDS} s")
    if done.returncode:
        said = " ".join(done.stderr.split())[-300:]
        pytest.skip(f"{name} could not be installed: {said}")


_PIP = (sys.executable, "-m", "pip")


@contextmanager
def running(folder: Path, command: Command, *, model: str, health: str = "health", **environ: str) -> Iterator[Running]:
    """Run the server that ``command`` starts from the environment in ``folder``, and end it with all its children.

    It is ready when it has a page called ``health``.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command(port), stdout=out, stderr=out, env=_environ(folder, environ), start_new_session=True
        )
    began = time.monotonic()
    installed_in = float((folder / "installed").read_text().split()[1])
    try:
        _wait_for(process, f"http://127.0.0.1:{port}/{health}", log)
        yield Running(port, model, log, installed_in, time.monotonic() - began)
    finally:
        _end(process)


def _environ(folder: Path, own: dict[str, str]) -> dict[str, str]:
    # Whoever runs the tests has models of their own, and a path that leads to other packages.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    hub = {"HF_HOME": str(_made(folder / "hub")), "HF_HUB_OFFLINE": "1"}
    return {**kept, **hub, "OMP_NUM_THREADS": "1", **own}


def _wait_for(process: subprocess.Popen[bytes], page: str, log: Path) -> None:
    until = time.monotonic() + READY_SECONDS
    while not _is_there(page):
        if process.poll() is not None or time.monotonic() > until:
            ended = "ended" if process.poll() is not None else f"was not ready within {READY_SECONDS} s"
            pytest.fail(f"the server {ended}; it said:\n{_tail(log)}", pytrace=False)
        time.sleep(0.2)


def _is_there(page: str) -> bool:
    try:
        with urllib.request.urlopen(page, timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-30:])


def _end(process: subprocess.Popen[bytes]) -> None:
    for sign, seconds in ((signal.SIGTERM, 15), (signal.SIGKILL, 15)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)  # its children share its group: those that outlive it go too
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)


def _digest(pins: Path) -> str:
    return hashlib.sha256(pins.read_bytes()).hexdigest()[:16]


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
