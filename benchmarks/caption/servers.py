"""Chat servers in processes of their own."""

import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Server:
    """A server that runs: its address, and what it has seen."""

    port: int

    @property
    def url(self) -> str:
        """Base URL, as OpenAI's client takes it."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def model(self) -> str:
        """URI of its model."""
        return f"openai+http://127.0.0.1:{self.port}/v1?model=tiny"

    def served(self) -> list[dict[str, Any]]:
        """Return each request that was answered: when it began and ended, in seconds, and its status."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/log", timeout=60) as reply:
            lines: list[dict[str, Any]] = json.load(reply)["served"]
        return [line for line in lines if line["status"] == 200]


@contextmanager
def serving(*, latency: float = 0.0, core: int | None = None) -> Iterator[Server]:
    """Run a server while the block runs, on one ``core`` if that is named, with answers after about ``latency`` s."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server = Server(free.getsockname()[1])
    pinned = ["taskset", "--cpu-list", str(core)] if core is not None else []
    command = [*pinned, sys.executable, "-m", "benchmarks.chat_server", "--port", str(server.port)]
    with subprocess.Popen([*command, "--latency", str(latency)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield server
        finally:
            process.kill()
