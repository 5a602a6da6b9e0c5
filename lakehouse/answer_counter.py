"""A task tells the run's governor how many answers it has: for the person who watches, and for nothing else."""

import json
import socket
from contextlib import suppress
from typing import Self

from lakehouse.governor import COUNTER, Address


class AnswerCounter:
    """Counts answers at ``address``, if there is one. What cannot be told is let go: no answer hangs on it."""

    def __init__(self, address: Address | None) -> None:
        self._address = address
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        if self._address is not None:
            host, port, secret = self._address
            with suppress(OSError):
                self._socket = socket.create_connection((host, port), timeout=5)
                self._socket.sendall(f"{secret} {COUNTER}\n".encode())
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            self._socket.close()

    def add(self, answers: int) -> None:
        """Count so many ``answers`` more."""
        if self._socket is not None and answers:
            with suppress(OSError):
                self._socket.sendall(json.dumps({"answered": answers}).encode() + b"\n")
