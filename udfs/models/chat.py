"""Models behind a chat server: ``openai://MODEL`` and ``openai+http://HOST:PORT/v1?model=MODEL``."""

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from lakehouse.errors import ModelFailed
from lakehouse.governor import Seat
from lakehouse.limits import Spend
from udfs.chat.check import check_server
from udfs.chat.client import Client
from udfs.chat.costs import most_of_all
from udfs.chat.settings import ChatSettings
from udfs.chat.transport import AiohttpTransport, Transport
from udfs.chat.window import Window
from udfs.models import Desk, Reply, Request
from udfs.tasks import Task

_AHEAD: Final = 2
"""Windows of requests that are read ahead, so that no place in flight waits for a row."""
_AHEAD_BYTES: Final = 256 << 20

_Outcome = tuple[Request, Reply] | BaseException


class ChatDescriber:
    """Asks a chat server, with one window of requests in flight over all that it is given."""

    most_tasks = None

    def __init__(self, settings: ChatSettings, transport: type[Transport] = AiohttpTransport) -> None:
        self.settings = settings
        self.identity = settings.identity
        self.revision = settings.revision
        self.needs_image = settings.images
        self._transport = transport

    @property
    def has_price(self) -> bool:
        """Whether the price is known or was given."""
        return self.settings.price is not None

    def most(self, requests: int, own_bytes: int, task: Task, prompt: str) -> Spend:
        """Return the most that the requests can come to, second questions included."""
        return most_of_all(self.settings, requests, own_bytes, task, prompt)

    def check(self) -> None:
        """Raise ModelFailed, within seconds, if a server is not there, refuses the key or has no such model."""
        check_server(self.settings)

    def describe(self, requests: Iterable[Request], desk: Desk) -> Iterator[tuple[Request, Reply]]:
        """Yield each request with its reply as they come, in any order.

        Raises ModelFailed where requests of an earlier run wait in a batch: asked here, they would be paid twice.
        """
        in_batch = {key for note in desk.submitted for key in note["keys"]}
        with _Crew(self.settings, desk, self._transport) as crew:
            for request in requests:
                if request.request_key in in_batch:
                    break
                crew.give(request)
                yield from crew.done(block=crew.is_full)
            else:
                in_batch.clear()
            while crew.waiting:
                yield from crew.done(block=True)
        if in_batch:
            raise ModelFailed(
                "requests that are to be asked are in a batch: let an openai+batch model wait for it first"
            )


class _Crew:
    """The event loop in its own thread: requests are given from one side, replies taken from it on the same side."""

    def __init__(self, settings: ChatSettings, desk: Desk, transport: type[Transport]) -> None:
        self._settings, self._desk, self._transport = settings, desk, transport
        self._inbox: deque[Request] = deque()
        self._outbox: queue.SimpleQueue[_Outcome] = queue.SimpleQueue()
        self._window = Window()
        self._in_flight = 0
        self._error: BaseException | None = None
        self._is_called = False
        self._waiting_bytes = 0
        self.waiting = 0
        """Requests given whose replies were not taken yet."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="chat", daemon=True)

    def __enter__(self) -> "_Crew":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop)
        self._thread.join(30)

    @property
    def is_full(self) -> bool:
        """Whether enough requests lie ready: the next is to be given when a reply has come."""
        ahead = _AHEAD * max(self._window.size, self._window.most)
        return self.waiting >= ahead or self._waiting_bytes >= _AHEAD_BYTES

    def give(self, request: Request) -> None:
        """Have ``request`` asked when there is a place in flight."""
        self.waiting += 1
        self._waiting_bytes += len(request.image or b"")
        self._inbox.append(request)
        if not self._is_called:
            self._is_called = True
            self._loop.call_soon_threadsafe(self._pump)

    def done(self, *, block: bool) -> Iterator[tuple[Request, Reply]]:
        """Yield the replies that are there, after waiting for one if ``block``; raise what ended the asking."""
        while self.waiting:
            try:
                outcome = self._outbox.get(block=block)
            except queue.Empty:
                return
            if isinstance(outcome, BaseException):
                raise outcome
            self.waiting -= 1
            self._waiting_bytes -= len(outcome[0].image or b"")
            block = False
            yield outcome

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:
            self._outbox.put(error)
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        self._ended = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        assert self._desk.limits is not None
        seat = Seat(self._desk.limits, on_window=self._resize)
        async with seat, self._transport() as transport:
            self._client = Client(self._settings, self._desk, transport, seat, self._window)
            self._pump()
            await self._ended.wait()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _resize(self, most: int) -> None:
        self._window.most = most
        self._pump()

    def _pump(self) -> None:
        self._is_called = False
        if not hasattr(self, "_client") or self._error is not None:
            return
        while self._inbox and self._in_flight < self._window.size:
            self._in_flight += 1
            task = self._loop.create_task(self._ask(self._inbox.popleft()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask(self, request: Request) -> None:
        try:
            reply = await self._client.ask(request)
            self._desk.record(request, reply)
            self._outbox.put((request, reply))
        except Exception as error:
            self._error = self._error or error
            self._client.is_given_up = True
            self._inbox.clear()
        self._in_flight -= 1
        if self._error is None:
            self._pump()
        elif not self._in_flight:
            # Last: what else was under way is paid for, and its answers are kept first.
            self._outbox.put(self._error)

    def _stop(self) -> None:
        if hasattr(self, "_ended"):
            self._ended.set()
