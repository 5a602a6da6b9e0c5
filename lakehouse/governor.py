"""One keeper of the limits for all tasks of a run: what is sent is reserved with it first, wherever a task runs.

The driver runs a ``Governor``; each task talks to it over one connection, one line of JSON a message. What a task that
died had reserved counts as spent: whether its requests were served is not known.
"""

import asyncio
import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from lakehouse.errors import BudgetReached, ModelFailed
from lakehouse.limits import NOTHING, Limits, Spend

COUNTER = "counter"
"""Stands behind the secret, in the first line of who only counts answers, and so takes no share of the window."""
_RETRY_SECONDS = 0.05
"""How soon a task asks again where what others have reserved may still be given back."""
_BURST_SECONDS = 1.0
"""How much of the rate may be sent at one moment."""


class Address(NamedTuple):
    """Where a governor listens, and the word that opens it."""

    host: str
    port: int
    secret: str


class Governor:
    """Keeps ``limits`` for the tasks that connect to ``address`` while the block runs.

    Tasks reach it at ``host``; where that is no address of this machine, as in Kubernetes, it ``listens_on`` another.
    """

    def __init__(self, limits: Limits, *, host: str = "127.0.0.1", listens_on: str = "") -> None:
        self.limits = limits
        self._host, self._listens_on = host, listens_on or host
        self._secret = secrets.token_hex(16)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="governor", daemon=True)
        self._book = _Book(limits)
        self._tasks: set[_Task] = set()
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self.share = 1.0
        """How much of what the budgets had left may be spent now: see ``part``."""
        self.answered = 0
        """Answers that tasks have counted so far: see ``lakehouse.answer_counter``."""

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(30)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    @property
    def address(self) -> Address:
        """Where tasks find it."""
        return Address(self._host, self._server.sockets[0].getsockname()[1], self._secret)

    @property
    def spent(self) -> Spend:
        """What was spent so far; what is under way counts as reserved."""
        return self._book.spent.plus(self._book.reserved)

    @property
    def over(self) -> str | None:
        """The budget that had no room for a request, as the command line has it; None while none is used up."""
        return self._book.over

    @contextmanager
    def part(self, share: float) -> Iterator[None]:
        """Let no more than ``share`` of what the budgets have left be spent inside the block."""
        if share >= 1 or self.over is not None:
            yield
            return
        self.share, self._book.limits = share, self.limits.part(share, self.spent)
        try:
            yield
        finally:
            self.share, self._book.limits, self._book.over = 1.0, self.limits, None

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._welcome, self._listens_on, 0)

    async def _close(self) -> None:
        self._server.close()
        connections = dict(self._connections)
        for writer in connections.values():
            writer.close()
        if connections:  # tasks may outlive the run that they are of
            await asyncio.wait(connections, timeout=5)

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve whoever knows the secret, until the connection ends."""
        connection = asyncio.current_task()
        assert connection is not None
        self._connections[connection] = writer
        try:
            with suppress(ConnectionError, ValueError):
                secret, _, role = (await reader.readline()).strip().partition(b" ")
                if hmac.compare_digest(secret, self._secret.encode()):
                    await (self._count(reader) if role == COUNTER.encode() else self._serve(reader, writer))
        finally:
            writer.close()
            del self._connections[connection]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = _Task(writer)
        self._tasks.add(task)
        self._share()
        try:
            while line := await reader.readline():
                self._answer(task, json.loads(line))
        finally:
            self._tasks.discard(task)
            for cost in task.leases.values():
                self._book.settle(cost, cost)
            self._share()

    async def _count(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            self.answered += json.loads(line)["answered"]

    def _share(self) -> None:
        """Tell each task how many requests it may have in flight: an equal share, the rest to the first ones."""
        share, rest = divmod(self.limits.in_flight, max(1, len(self._tasks)))
        for place, task in enumerate(sorted(self._tasks, key=id)):
            task.tell(window=max(1, share + (place < rest)))

    def _answer(self, task: "_Task", message: dict[str, Any]) -> None:
        match message:
            case {"lease": number, "cost": cost, "endpoint": endpoint}:
                granted = self._book.lease(Spend(*cost), endpoint)
                if isinstance(granted, float):
                    task.leases[number] = Spend(*cost)
                    task.tell(lease=number, wait=granted)
                else:
                    task.tell(lease=number, **granted)
            case {"settle": number, "cost": cost}:
                self._book.settle(task.leases.pop(number), Spend(*cost))
            case {"pause": seconds, "endpoint": endpoint}:
                self._book.pause(endpoint, seconds)
                for other in self._tasks - {task}:
                    other.tell(pause=seconds, endpoint=endpoint)
            case {"fatal": reason}:
                self._book.fatal = self._book.fatal or reason


@dataclass(eq=False)
class _Task:
    """A task that is connected."""

    writer: asyncio.StreamWriter
    leases: dict[int, Spend] = field(default_factory=dict)

    def tell(self, **message: Any) -> None:
        if not self.writer.is_closing():
            self.writer.write(json.dumps(message).encode() + b"\n")


@dataclass
class _Book:
    """What was spent, what is reserved, and when the next request may go."""

    limits: Limits
    spent: Spend = NOTHING
    reserved: Spend = NOTHING
    fatal: str | None = None
    over: str | None = None
    _requests_free_at: float = 0.0
    _tokens_free_at: float = 0.0
    _paused: dict[str, float] = field(default_factory=dict)

    def lease(self, cost: Spend, endpoint: str) -> float | dict[str, Any]:
        """Reserve ``cost`` and return the seconds to wait before it is sent; or say why not, or when to ask again."""
        if self.fatal is not None:
            return {"fatal": self.fatal}
        if self.limits.exceeded_by(self.spent.plus(self.reserved).plus(cost)):
            over = self.limits.exceeded_by(self.spent.plus(cost))
            if over is None or self.reserved.requests:
                return {"again": _RETRY_SECONDS}
            self.over = over
            return {"over": over}
        self.reserved = self.reserved.plus(cost)
        now = time.monotonic()
        return max(0.0, self._turn(cost, now) - now, self._paused.get(endpoint, 0.0) - now)

    def _turn(self, cost: Spend, now: float) -> float:
        """Take the next place in the line of the rates, and return when it is its turn."""
        # An endless line of places: a request's turn comes when those before it have used up their time.
        turn = now
        if self.limits.requests_per_minute:
            turn = max(turn, self._requests_free_at)
            gap = 60.0 / self.limits.requests_per_minute * cost.requests
            self._requests_free_at = max(self._requests_free_at, now - _burst(gap)) + gap
        if self.limits.tokens_per_minute:
            turn = max(turn, self._tokens_free_at)
            gap = 60.0 / self.limits.tokens_per_minute * cost.tokens
            self._tokens_free_at = max(self._tokens_free_at, now - _burst(gap)) + gap
        return turn

    def settle(self, reserved: Spend, actual: Spend) -> None:
        self.reserved = self.reserved.minus(reserved)
        self.spent = self.spent.plus(actual)

    def pause(self, endpoint: str, seconds: float) -> None:
        self._paused[endpoint] = max(self._paused.get(endpoint, 0.0), time.monotonic() + seconds)


def _burst(gap: float) -> float:
    return max(0.0, _BURST_SECONDS - gap)


class Seat:
    """A task's place at the governor's table: asks before it sends, says afterwards what it came to.

    For one event loop. ``on_window`` is told how many requests the task may have in flight, whenever that changes.
    """

    def __init__(self, address: Address, *, on_window: Callable[[int], None]) -> None:
        self._address = address
        self._on_window = on_window
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._paused: dict[str, float] = {}
        self._next = 0

    async def __aenter__(self) -> Self:
        host, port, secret = self._address
        try:
            self._reader, self._writer = await asyncio.wait_for(asyncio.open_connection(host, port), 30)
        except (OSError, TimeoutError) as error:
            raise ModelFailed(
                f"cannot reach the driver at {host}:{port} for the run's limits: {error or 'no answer in 30 s'}"
            ) from error
        self._writer.write(f"{secret}\n".encode())
        self._listener = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.cancel()
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()

    async def lease(self, cost: Spend, endpoint: str) -> int:
        """Return the number of a reservation of at most ``cost``, when it is its turn to be sent.

        Raises BudgetReached when a budget has no room for it and nothing is under way that could make some, and
        ModelFailed when another task has found that there is no use in going on.
        """
        while True:
            number, self._next = self._next, self._next + 1
            answer = await self._ask(number, cost, endpoint)
            if "wait" in answer:
                await asyncio.sleep(answer["wait"])
                while (left := self._paused.get(endpoint, 0.0) - time.monotonic()) > 0:
                    await asyncio.sleep(left)
                return number
            if "over" in answer:
                raise BudgetReached(answer["over"])
            if "fatal" in answer:
                raise ModelFailed(answer["fatal"])
            await asyncio.sleep(answer["again"])

    def settle(self, number: int, cost: Spend) -> None:
        """Say what the reservation came to: nothing, where nothing was sent."""
        self._tell(settle=number, cost=cost)

    def pause(self, endpoint: str, seconds: float) -> None:
        """Have no task send anything to ``endpoint`` for so long."""
        self._paused[endpoint] = max(self._paused.get(endpoint, 0.0), time.monotonic() + seconds)
        self._tell(pause=seconds, endpoint=endpoint)

    def report_fatal(self, reason: str) -> None:
        """Let all tasks know that there is no use in going on."""
        self._tell(fatal=reason)

    async def _ask(self, number: int, cost: Spend, endpoint: str) -> dict[str, Any]:
        if self._listener.done():
            raise driver_gone()
        self._waiting[number] = asyncio.get_running_loop().create_future()
        self._tell(lease=number, cost=cost, endpoint=endpoint)
        return await self._waiting[number]

    def _tell(self, **message: Any) -> None:
        self._writer.write(json.dumps(message).encode() + b"\n")

    async def _listen(self) -> None:
        try:
            while line := await self._reader.readline():
                self._hear(json.loads(line))
        finally:
            for future in self._waiting.values():
                future.set_exception(driver_gone())

    def _hear(self, message: dict[str, Any]) -> None:
        match message:
            case {"lease": number}:
                future = self._waiting.pop(number)
                if not future.done():
                    future.set_result(message)
            case {"window": window}:
                self._on_window(window)
            case {"pause": seconds, "endpoint": endpoint}:
                self._paused[endpoint] = max(self._paused.get(endpoint, 0.0), time.monotonic() + seconds)


def driver_gone() -> ModelFailed:
    """Return what a task raises when nobody answers at the governor's address any more."""
    return ModelFailed("the driver, which keeps the run's limits, is gone")
