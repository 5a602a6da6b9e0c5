"""Have requests answered by the file: reserve, note, submit, wait, and match each answer to its request by its key."""

import secrets
import sys
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from lakehouse.blocking_seat import BlockingSeat
from lakehouse.errors import BudgetReached, ModelFailed
from lakehouse.limits import NOTHING, Spend
from udfs.batch.outcomes import Outcomes, fields_of
from udfs.batch.request_file import RequestFile, line_of
from udfs.batch.server import BatchServer, met_full_queue
from udfs.batch.settings import BatchSettings
from udfs.chat.body import BodyMaker
from udfs.chat.costs import came_to, most_of_one
from udfs.chat.images import sendable
from udfs.chat.verdicts import Busy, Hopeless, Verdict
from udfs.images import UnreadableImage
from udfs.models import Desk, Reply, Request
from udfs.prompts import split_prompt

if TYPE_CHECKING:
    from openai.types import Batch

_ENDED: Final = {"completed", "failed", "expired", "cancelled"}
_FIRST_PAUSE: Final = 1.0
_MOST_ALONE: Final = 3
_NOTE_SECONDS: Final = 60.0
"""How often it is said what is waited for."""

Answer = tuple[Request, Reply]


@dataclass(frozen=True)
class _Waiting:
    """A request, without its image, that is in a file or a batch."""

    request: Request
    most: Spend = NOTHING
    lease: int | None = None
    """None where an earlier run has paid."""


@dataclass
class _Submission:
    """A batch, with those of its requests that this task is to answer."""

    number: str
    """Ours: the batch carries it, and so does one that is made again of the same file."""
    batch: str
    url: str
    waiting: dict[str, _Waiting] = field(default_factory=dict)
    is_begun: bool = False
    """Whether an earlier run submitted it: other tasks of this one may have a share in it."""
    is_cancelled: bool = False
    alone: int = 0
    """Times that a batch was made of the file while no other of the account was under way."""
    since: float = field(default_factory=time.time)


class Asker:
    """Asks for one task of a run."""

    def __init__(self, settings: BatchSettings, desk: Desk, server: BatchServer, seat: BlockingSeat) -> None:
        self._settings, self._desk, self._server, self._seat = settings, desk, server, seat
        self._bodies = BodyMaker(settings.chat, desk.prompt, desk.task.schema)
        self._own = split_prompt(desk.prompt)[1]
        self._file = self._new_file()
        self._waiting: dict[str, _Waiting] = {}
        self._open: list[_Submission] = []
        self._held: list[_Submission] = []
        self._pause, self._noted_at = min(_FIRST_PAUSE, settings.poll), time.monotonic()

    def ask(self, requests: Iterable[Request]) -> Iterator[Answer]:
        """Yield each request with its reply, batch by batch.

        Raises BudgetReached when all that was submitted is answered, and ModelFailed at once: what is submitted stands
        in the journal, and the next run waits for it.
        """
        begun = self._begun()
        try:
            for request in requests:
                if request.request_key in begun:
                    self._wait_for(request, begun[request.request_key])
                else:
                    yield from self._take(request)
            self._submit()
        except BudgetReached:
            yield from self._collect_all(begun.values())
            raise
        yield from self._collect_all(begun.values())

    def _begun(self) -> dict[str, _Submission]:
        """Return what an earlier run submitted, by request key: what was noted, but never became a batch, is not."""
        begun = {}
        for note in self._desk.submitted:
            number, url, batch = note["submission"], note["url"], note.get("batch")
            if url == self._server.url and (batch is None or met_full_queue(self._server.batch(batch))):
                # One that was made again, the last thing before the run died.
                batch = self._server.find(number, since=note["at"])
                if batch is None or met_full_queue(self._server.batch(batch)):
                    continue
            begun.update(dict.fromkeys(note["keys"], _Submission(number, batch or "", url, is_begun=True)))
        return begun

    def _wait_for(self, request: Request, submission: _Submission) -> None:
        """Take ``request`` as asked in ``submission``; raise ModelFailed where that is at another server."""
        if submission.url != self._server.url:
            raise ModelFailed(f"requests are in a batch at {submission.url}, not at {self._server.url}: go on there")
        submission.waiting[request.request_key] = _Waiting(replace(request, image=None))

    def _take(self, request: Request) -> Iterator[Answer]:
        """Write ``request`` into the file; yield what comes of others while it waits for leave, or its own failure."""
        key = request.request_key
        try:
            line, most = self._line(request)
        except UnreadableImage as error:
            yield self._record(request, Reply(reason=error.reason, detail=str(error), attempts=0))
            return
        while (lease := self._seat.lease(most, self._server.url)) is None:
            # What this task has reserved itself is given back only when it is answered.
            self._submit()
            yield from self._collect()
        if not self._file.has_room(line):
            self._submit()
        self._file.add(line)
        self._waiting[key] = _Waiting(replace(request, image=None), most, lease)

    def _line(self, request: Request) -> tuple[bytes, Spend]:
        chat, image = self._settings.chat, None
        if chat.images and request.image is not None:
            size = {"width": request.width, "height": request.height, "max_pixels": chat.max_pixels}
            image = sendable(request.image, **size)
        text = request.fill(self._own)
        note = self._desk.begun.get(request.request_key)
        unreadable = (note["answer"], note["complaint"]) if note else None
        body = self._bodies.body(text, image, unreadable=unreadable)
        return line_of(request.request_key, body), most_of_one(chat, body, image)

    def _submit(self) -> None:
        """Make a batch of the file: noted before, so that it is found again wherever this ends."""
        if not self._waiting:
            return
        number = secrets.token_hex(16)
        file = self._server.upload(self._file.file)
        self._note(number, at=time.time(), url=self._server.url, keys=list(self._waiting))
        batch = self._server.create(file, number)
        self._note(number, batch=batch, input_file=file)
        self._open.append(_Submission(number, batch, self._server.url, self._waiting))
        self._file.close()
        self._file, self._waiting = self._new_file(), {}

    def _submit_again(self, held: _Submission) -> None:
        """Make a batch of the file of one that met a full queue, under the same number."""
        before = self._server.batch(held.batch)
        if before is None:
            self._open.append(held)  # which will say so
            return
        held.alone += not self._server.is_at_work()
        self._note(held.number, at=time.time())
        held.batch = self._server.create(before.input_file_id, held.number, unlike=held.batch)
        self._note(held.number, batch=held.batch)
        self._open.append(held)

    def _note(self, number: str, **fields: Any) -> None:
        self._desk.note({"kind": "submission", "submission": number, **fields})
        self._desk.keep()

    def _new_file(self) -> RequestFile:
        return RequestFile(most_bytes=int(self._settings.file_mb * 1e6), most_lines=self._settings.file_lines)

    def _collect_all(self, begun: Iterable[_Submission]) -> Iterator[Answer]:
        # Not before: until all requests are known, it is not known which of a batch's answers are this task's.
        self._open += {id(submission): submission for submission in begun if submission.waiting}.values()
        while self._open or self._held:
            yield from self._collect()

    def _collect(self) -> Iterator[Answer]:
        """Look at every batch once, and yield the answers of those that are at their end; pause where none is.

        Then there may be room in the queue for one of those that had met a full one.
        """
        answered = 0
        for submission in tuple(self._open):
            batch = self._server.batch(submission.batch)
            if batch is None or batch.status in _ENDED:
                self._open.remove(submission)
                yield from self._end(submission, batch)
                answered += submission not in self._held
            else:
                self._hold_to_deadline(submission, batch)
        if answered:
            self._pause = min(_FIRST_PAUSE, self._settings.poll)
        else:
            self._wait()
        if self._held and (answered or not self._open):
            self._submit_again(self._held.pop(0))

    def _wait(self) -> None:
        if time.monotonic() - self._noted_at >= _NOTE_SECONDS:
            self._noted_at = time.monotonic()
            submitted = (*self._open, *self._held)
            waiting = sum(len(submission.waiting) for submission in submitted)
            print(f"note: {waiting:,} requests wait in {len(submitted):,} batches", file=sys.stderr, flush=True)
        time.sleep(self._pause)
        self._pause = min(self._settings.poll, 1.5 * self._pause)

    def _hold_to_deadline(self, submission: _Submission, batch: "Batch") -> None:
        """Cancel a batch that is late; raise ModelFailed where that is of no use: given up, it could be paid twice."""
        hours = (time.time() - batch.created_at) / 3600
        deadline = self._settings.deadline
        grace = deadline / 24
        if hours > deadline + grace and not submission.is_cancelled:
            submission.is_cancelled = True
            self._server.cancel(batch.id)
        elif hours > deadline + 2 * grace:
            raise ModelFailed(f"batch {batch.id} is {batch.status} after {hours:.1f} h: run again to wait on for it")

    def _end(self, submission: _Submission, batch: "Batch | None") -> Iterator[Answer]:
        """Yield what came of a batch at its end; one that others left no room for waits until there is some."""
        if met_full_queue(batch) and self._may_be_begun_later(submission):
            self._held.append(submission)
            return
        is_whole = yield from self._answers(submission, batch)
        # Another task may have its answers in what an earlier run submitted.
        if is_whole and batch is not None and not submission.is_begun:
            self._desk.keep()
            for file in filter(None, (batch.input_file_id, batch.output_file_id, batch.error_file_id)):
                self._server.delete(file)

    def _may_be_begun_later(self, submission: _Submission) -> bool:
        is_late = (time.time() - submission.since) / 3600 > self._settings.deadline
        # Alone in the queue, and turned down all the same: it is too large for it, unless another came between.
        return not is_late and not submission.is_begun and submission.alone < _MOST_ALONE

    def _answers(self, submission: _Submission, batch: "Batch | None") -> Generator[Answer, None, bool]:
        """Yield what came of each request in a batch at its end; raise ModelFailed where going on is of no use.

        Returns whether there was one line on each request, and none on anything else.
        """
        outcomes, useless = Outcomes(self._lines(batch), submission.waiting), None
        seconds = (batch.completed_at or time.time()) - batch.created_at if batch is not None else 0.0
        for key, verdict in chain(outcomes, outcomes.left(_why(batch))):
            entry = submission.waiting[key]
            spent = came_to(self._settings.chat, verdict, entry.most)
            useless = useless or _useless(verdict, spent, entry)
            yield self._answer(entry, verdict, spent, seconds)
        if outcomes.passed_over and not submission.is_begun:
            said = ", ".join(f"{count:,} {what}" for what, count in outcomes.passed_over.items())
            print(f"note: lines of batch {submission.batch} were passed over: {said}", file=sys.stderr, flush=True)
        if useless is not None:
            self._seat.report_fatal(useless)
            raise ModelFailed(useless)
        return outcomes.is_whole

    def _lines(self, batch: "Batch | None") -> Iterator[bytes]:
        for file in (batch.output_file_id, batch.error_file_id) if batch is not None else ():
            yield from self._server.lines(file)

    def _answer(self, entry: _Waiting, verdict: Verdict, spent: Spend, seconds: float) -> Answer:
        if entry.lease is not None:
            self._seat.settle(entry.lease, spent)
        first = self._desk.begun.get(entry.request.request_key)
        usd = spent.usd + (first["cost_usd"] if first else 0.0)
        return self._record(entry.request, Reply(**fields_of(verdict), cost_usd=usd, seconds=seconds))

    def _record(self, request: Request, reply: Reply) -> Answer:
        self._desk.record(request, reply)
        return request, reply


def _why(batch: "Batch | None") -> Busy:
    """Return what is to be said of requests that a batch has no line for; in one that is complete they may be paid."""
    if batch is None:
        return Busy(reason="left_out", detail="the server knows nothing of the batch any more")
    errors = (batch.errors and batch.errors.data) or []
    said = "; ".join(error.message for error in errors[:3] if error.message)
    detail = f"the batch is {batch.status}" + (f": {said}" if said else "")
    if met_full_queue(batch):
        detail += ": it alone is more than may wait, file_lines=N in the URI makes smaller ones"
    return Busy(reason="left_out", detail=detail, is_sent=batch.status == "completed")


def _useless(verdict: Verdict, spent: Spend, entry: _Waiting) -> str | None:
    """Say why there is no use in asking on; None where there is."""
    if isinstance(verdict, Hopeless):
        return verdict.message
    if entry.lease is not None and spent.tokens > entry.most.tokens:
        return (
            f"the server counts {spent.tokens:,} tokens for a request of at most {entry.most.tokens:,}: "
            "it does not keep to max_tokens, and could spend without end"
        )
    return None
