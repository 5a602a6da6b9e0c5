"""Environments for what the project does not depend on, made once below build/bench/peers."""

import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

BUILD: Final = Path("build/bench/peers")
_INSTALL_S: Final = 1200


class NotInstalled(Exception):
    """An environment could not be made; says why."""


def python_of(pins: Path) -> Path:
    """Return the Python of the environment that has exactly what ``pins`` lists."""
    folder = BUILD.absolute() / pins.stem.removeprefix("requirements-")
    python, mark = folder / "bin" / "python", folder / "installed"
    digest = hashlib.sha256(pins.read_bytes()).hexdigest()
    if not (mark.exists() and mark.read_text() == digest):
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, symlinks=True)
        _install(python, pins)
        mark.write_text(digest)
    return python


def _install(python: Path, pins: Path) -> None:
    # uv links what environments share: with pip each takes 5 GB of disk.
    uv = shutil.which("uv", path=Path(sys.executable).parent)
    tool = (
        [uv, "pip", "install", "--python", python]
        if uv
        else [sys.executable, "-m", "pip", "--python", python, "install"]
    )
    command = [*map(str, tool), "-q", "--no-deps", "-r", str(pins)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_S, check=False)
    except subprocess.TimeoutExpired as slow:
        raise NotInstalled(f"{pins.name} could not be installed within {_INSTALL_S} s") from slow
    if done.returncode:
        raise NotInstalled(f"{pins.name} could not be installed: {' '.join(done.stderr.split())[-300:]}")
