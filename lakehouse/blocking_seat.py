"""A task's place at the governor's table for code without an event loop, which reserves much before it sends any."""

import json
import socket
import time
from typing import Any, Self

from lakehouse.errors import BudgetReached, ModelFailed
from lakehouse.governor import Address, driver_gone
from lakehouse.limits import Spend


class BlockingSeat:
    """Asks before something is sent, says afterwards what it came to."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._next = 0

    def __enter__(self) -> Self:
        host, port, secret = self._address
        try:
            self._socket = socket.create_connection((host, port), timeout=30)
        except OSError as error:
            raise ModelFailed(f"cannot reach the driver at {host}:{port} for the run's limits: {error}") from error
        # A batch takes hours, in which nothing else is said that would keep the connection known on its way.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._lines = self._socket.makefile("rb")
        self._socket.sendall(f"{secret}\n".encode())
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._socket.close()

    def lease(self, cost: Spend, endpoint: str) -> int | None:
        """Return the number of a reservation of at most ``cost``, when it is its turn to be sent.

        None where there is no room now, but may be when what is under way has come to its end. Raises BudgetReached
        when there is none and nothing could make some, and ModelFailed when another task has given up for all.
        """
        number, self._next = self._next, self._next + 1
        self._tell(lease=number, cost=cost, endpoint=endpoint)
        answer = self._answer(number)
        if "over" in answer:
            raise BudgetReached(answer["over"])
        if "fatal" in answer:
            raise ModelFailed(answer["fatal"])
        if "again" in answer:
            return None
        time.sleep(answer["wait"])
        return number

    def settle(self, number: int, cost: Spend) -> None:
        """Say what the reservation came to: nothing, where nothing was sent."""
        self._tell(settle=number, cost=cost)

    def report_fatal(self, reason: str) -> None:
        """Let all tasks know that there is no use in going on."""
        self._tell(fatal=reason)

    def _tell(self, **message: Any) -> None:
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise driver_gone() from error

    def _answer(self, number: int) -> dict[str, Any]:
        try:
            while line := self._lines.readline():
                message: dict[str, Any] = json.loads(line)
                if message.get("lease") == number:
                    return message
        except OSError as error:
            raise driver_gone() from error
        raise driver_gone()
