"""Chat servers in processes of their own, which can be killed and started again at the same place."""

import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Server:
    """A chat server: where it is, and what it has seen."""

    port: int
    latency: float = 0.0
    """Mean seconds an answer."""
    log: Path | None = None
    """File that each answer is written down in, which outlives the server."""
    core: int | None = None
    """The one core that it runs on; None for any."""
    flags: tuple[str, ...] = ()
    _process: subprocess.Popen[str] = field(init=False, repr=False)

    @property
    def url(self) -> str:
        """Base URL, as OpenAI's client takes it."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def model(self) -> str:
        """URI of its model."""
        return f"openai+http://127.0.0.1:{self.port}/v1?model=tiny"

    def served(self) -> list[dict[str, Any]]:
        """Return each request that was answered, to an asker who was there: when it began and ended, and its image."""
        return [line for line in self._written() if line["status"] == 200]

    def _written(self) -> list[dict[str, Any]]:
        if self.log is not None:
            return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/log", timeout=60) as reply:
            lines: list[dict[str, Any]] = json.load(reply)["served"]
        return lines

    def start(self) -> None:
        """Start it, and return when it listens."""
        pinned = ["taskset", "--cpu-list", str(self.core)] if self.core is not None else []
        log = ["--log", str(self.log)] if self.log is not None else []
        where = ["--port", str(self.port), "--latency", str(self.latency)]
        command = [*pinned, sys.executable, "-m", "benchmarks.chat_server", *where, *log, *self.flags]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        if not self._process.stdout.readline().startswith("http"):
            raise RuntimeError(f"the server did not start: {' '.join(command)}")

    def kill(self) -> None:
        """Kill it, with what it has under way."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


@contextmanager
def serving(
    *, latency: float = 0.0, log: Path | None = None, core: int | None = None, flags: tuple[str, ...] = ()
) -> Iterator[Server]:
    """Run a server at a free port while the block runs, with answers after about ``latency`` s."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server = Server(free.getsockname()[1], latency, log, core, flags)
    server.start()
    try:
        yield server
    finally:
        server.kill()
