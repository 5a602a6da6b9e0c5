"""Ask a chat server about one sample, whatever happens on the way: retries, deadline, one second question, a reason."""

import asyncio
import random
import time
from dataclasses import dataclass, field

from lakehouse.errors import ModelFailed
from lakehouse.governor import Seat
from lakehouse.limits import NOTHING, Spend
from udfs.chat.body import BodyMaker
from udfs.chat.costs import came_to, most_of_one
from udfs.chat.endpoints import Endpoint, Endpoints
from udfs.chat.images import sendable
from udfs.chat.reply import judge
from udfs.chat.settings import ChatSettings
from udfs.chat.transport import Broken, ReplyTooLong, Transport, Unreachable
from udfs.chat.verdicts import Answered, Busy, Failed, Hopeless, Verdict
from udfs.chat.window import Window
from udfs.images import UnreadableImage
from udfs.models import Desk, Reply, Request
from udfs.prompts import split_prompt

_MAX_SENT = 5
"""Times that a request is sent again to servers that fail on it: what kills a server must not do so for ever."""
_MAX_ATTEMPTS = 64
"""Times that a request is sent at all, however kindly the server asks to come again."""
_MAX_MISSED = 3
"""Requests in a row that no server answered, before all are given up: one alone may be what no server can answer."""
_MAX_REFUSED = 16
"""Replies that are no answer before one is: what the server says against so many, it says against all."""
_FIRST_WAIT = 0.25
_LONGEST_WAIT = 20.0
_ASKED_AGAIN = {"bad_reply", "empty_answer"}
"""Failures after which the same request is sent once more."""


@dataclass
class _Asked:
    """What has been done about one request so far."""

    left: float
    """Seconds of its deadline: only what servers take counts, not its turn in the line of a rate limit."""
    attempts: int = 0
    failures: int = 0
    failed_at: Endpoint | None = None
    """The replica that gave no answer to the last attempt: another one may."""
    unreadable: tuple[str, str] | None = None
    is_second: bool = False
    spent: Spend = NOTHING
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0


@dataclass
class Client:
    """Asks on one event loop, for one task of a run."""

    settings: ChatSettings
    desk: Desk
    transport: Transport
    seat: Seat
    window: Window
    endpoints: Endpoints = field(init=False)
    is_given_up: bool = False
    """Whether nothing more is to be sent."""

    def __post_init__(self) -> None:
        self.endpoints = Endpoints(self.settings.endpoints)
        self._bodies = BodyMaker(self.settings, self.desk.prompt, self.desk.task.schema)
        self._own = split_prompt(self.desk.prompt)[1]
        key = self.settings.key()
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._failing_since: float | None = None
        self._missed = 0
        self._refused = 0
        self._failure = ""
        """What the last failure of a server was."""

    async def ask(self, request: Request) -> Reply:
        """Return what came of ``request``: always a reply, with a reason where there is no answer.

        Raises BudgetReached, and ModelFailed where no request has a chance.
        """
        try:
            image = await self._image(request)
        except UnreadableImage as error:
            return Reply(reason=error.reason, detail=str(error), attempts=0)
        text = request.fill(self._own)
        asked = self._begun(request)
        while True:
            body = self._bodies.body(text, image, unreadable=asked.unreadable)
            verdict = await self._send(request, asked, body, most_of_one(self.settings, body, image))
            reply = await self._reply(request, verdict, asked)
            if reply is not None:
                return reply

    async def _image(self, request: Request) -> tuple[str, bytes] | None:
        if not self.settings.images or request.image is None:
            return None
        size = {"width": request.width, "height": request.height, "max_pixels": self.settings.max_pixels}
        if request.width * request.height <= self.settings.max_pixels:
            return sendable(request.image, **size)
        return await asyncio.to_thread(sendable, request.image, **size)

    def _begun(self, request: Request) -> _Asked:
        """Return where to go on: at the second question, where the answer to the first was paid for before a kill."""
        note = self.desk.begun.get(request.request_key)
        if note is None:
            return _Asked(left=self.settings.deadline)
        return _Asked(
            left=self.settings.deadline,
            attempts=note["attempts"],
            unreadable=(note["answer"], note["complaint"]),
            is_second=True,
            spent=Spend(usd=note["cost_usd"]),
            input_tokens=note["input_tokens"],
            output_tokens=note["output_tokens"],
        )

    async def _send(self, request: Request, asked: _Asked, body: bytes, most: Spend) -> Verdict:
        endpoint = await self._endpoint(request.image_id, asked)
        if endpoint is None:
            return Busy(reason="unavailable", detail=self._failure, is_sent=False)
        lease = await self.seat.lease(most, endpoint.url)
        began, spent = time.monotonic(), Spend()
        try:
            if self.is_given_up:
                raise ModelFailed("another request has ended the run")
            asked.attempts += 1
            self.desk.note({"kind": "intent", "request_key": request.request_key, "attempt": asked.attempts})
            endpoint.take()
            spent = most
            verdict = await self._post(endpoint, body, asked.left)
            spent = came_to(self.settings, verdict, most)
        finally:
            seconds = time.monotonic() - began
            self.seat.settle(lease, spent)
        asked.left -= seconds
        asked.seconds += seconds
        asked.spent = asked.spent.plus(spent)
        self._learn(endpoint, verdict, seconds)
        is_failure = isinstance(verdict, Busy) and verdict.reason != "server_busy"
        asked.failed_at = endpoint if is_failure else None
        if spent.tokens > most.tokens:
            verdict = Hopeless(
                message=f"the server counts {spent.tokens:,} tokens for a request of at most {most.tokens:,}: "
                "it does not keep to max_tokens, or counts more for an image: then say image_tokens= in its URI"
            )
        elif isinstance(verdict, Hopeless) and verdict.is_perhaps_this_one and self.window.is_proven:
            # Others were answered: this one's image or text was turned away, by whatever stands before the server.
            verdict = Failed(reason="bad_request", detail=verdict.message, raw=verdict.raw, is_paid=False)
        elif isinstance(verdict, Failed) and self._refused >= _MAX_REFUSED:
            verdict = Hopeless(
                message=f"the server answers no request; what it said to the last of {self._refused}: {verdict.detail}"
            )
        return verdict

    async def _post(self, endpoint: Endpoint, body: bytes, seconds: float) -> Verdict:
        try:
            async with asyncio.timeout(max(seconds, 0.01)):
                reply = await self.transport.post(f"{endpoint.url}/chat/completions", body, self._headers)
        except TimeoutError:
            return Busy(reason="timed_out", detail=f"no whole answer in {self.settings.deadline:g} s")
        except Unreachable as error:
            return Busy(reason="unavailable", detail=str(error), is_sent=False)
        except Broken as error:
            return Busy(reason="unavailable", detail=f"the connection broke: {error}")
        except ReplyTooLong as error:
            return Failed(reason="bad_reply", detail=str(error), raw="", is_paid=True)
        return judge(reply.status, reply.headers, reply.body)

    async def _reply(self, request: Request, verdict: Verdict, asked: _Asked) -> Reply | None:
        """Return the reply that ``verdict`` ends the request with; None where it is to be sent again."""
        match verdict:
            case Answered():
                asked.input_tokens += verdict.input_tokens or 0
                asked.output_tokens += verdict.output_tokens or 0
                complaint = None if asked.is_second else self.desk.task.complaint(verdict.text)
                if complaint is None:
                    return self._done(asked, answer=verdict.text, raw=verdict.raw)
                self._begin_again(request, verdict.text, complaint, asked)
            case Failed():
                asked.input_tokens += verdict.input_tokens or 0
                asked.output_tokens += verdict.output_tokens or 0
                if asked.is_second or verdict.reason not in _ASKED_AGAIN:
                    return self._done(asked, reason=verdict.reason, detail=verdict.detail, raw=verdict.raw)
                asked.is_second = True
            case Busy():
                return await self._wait(verdict, asked)
            case Hopeless():
                self.seat.report_fatal(verdict.message)
                raise ModelFailed(verdict.message)
        return None

    def _begin_again(self, request: Request, answer: str, complaint: str, asked: _Asked) -> None:
        """Note what was paid for already, so that a run after a kill asks only the second question."""
        asked.unreadable, asked.is_second = (answer, complaint), True
        paid = {"input_tokens": asked.input_tokens, "output_tokens": asked.output_tokens, "cost_usd": asked.spent.usd}
        note = {"answer": answer, "complaint": complaint, "attempts": asked.attempts, **paid}
        self.desk.note({"kind": "unreadable", "request_key": request.request_key, **note})

    async def _wait(self, verdict: Busy, asked: _Asked) -> Reply | None:
        asked.failures += verdict.is_sent and verdict.reason != "server_busy"
        # Full jitter: those that failed at one moment do not come back at one moment.
        wait = random.uniform(0, min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(asked.attempts, 8)))  # noqa: S311 # no secret
        if asked.failures >= _MAX_SENT or asked.attempts >= _MAX_ATTEMPTS or asked.left <= wait:
            self._give_up(verdict, asked, wait)
            return self._done(asked, reason=verdict.reason, detail=verdict.detail, raw=verdict.raw, is_missed=True)
        if verdict.wait is None:
            asked.left -= wait
            await asyncio.sleep(wait)
        return None

    def _give_up(self, verdict: Busy, asked: _Asked, wait: float) -> None:
        """Raise ModelFailed where, when ``wait`` is over, no server has answered for as long as one answer may take."""
        self._missed += 1
        since = self._failing_since
        is_over = since is not None and time.monotonic() + wait - since >= self.settings.deadline
        # What reached no server at all is not what no server can answer.
        if is_over and (self._missed >= _MAX_MISSED or not asked.failures):
            message = f"no server has answered for {self.settings.deadline:g} s; the last said: {verdict.detail}"
            self.seat.report_fatal(message)
            raise ModelFailed(message)

    async def _endpoint(self, image_id: str, asked: _Asked) -> Endpoint | None:
        """Return whom to ask; None where all servers were broken until the request's deadline."""
        while True:
            now = time.monotonic()
            endpoint = self.endpoints.choose(image_id, now, avoid=asked.failed_at)
            if endpoint is not None:
                return endpoint
            await asyncio.sleep(min(1.0, self.endpoints.opens_in(now)))
            if self.endpoints.is_broken:
                asked.left -= time.monotonic() - now
                if asked.left <= 0:
                    return None

    def _learn(self, endpoint: Endpoint, verdict: Verdict, seconds: float) -> None:
        now = time.monotonic()
        is_served = isinstance(verdict, Answered | Failed)
        self._failing_since = None if is_served else self._failing_since or now - seconds
        self._missed = 0 if is_served else self._missed
        match verdict:
            case Busy(reason="server_busy") | Busy(wait=float()):
                endpoint.served()
                self.window.refused()
                if verdict.wait is not None:
                    endpoint.pause(now + verdict.wait)
                    # It said when it will be back: until then it does not fail.
                    self._failing_since = now + verdict.wait
                    self.seat.pause(endpoint.url, verdict.wait)
            case Busy():
                self._failure = verdict.detail
                endpoint.failed(now)
                if verdict.reason == "timed_out":
                    self.window.refused()
            case Failed(is_paid=False) | Failed(reason="bad_reply") if not self.window.is_proven:
                endpoint.served()
                self._refused += 1
            case Answered() | Failed():
                endpoint.served()
                self.window.answered(seconds)

    def _done(self, asked: _Asked, **fields: str | bool | None) -> Reply:
        counted = {"input_tokens": asked.input_tokens or None, "output_tokens": asked.output_tokens or None}
        known = {"cost_usd": asked.spent.usd, "seconds": asked.seconds, "attempts": asked.attempts}
        return Reply(**fields, **counted, **known)  # type: ignore[arg-type]
