"""Ask a model in batches: filled over the bounds of what comes, halved where memory ends, one second question each."""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final

import torch

from lakehouse.errors import ModelFailed
from udfs.ahead import ahead
from udfs.devices import free_cached_memory
from udfs.hf.engine import Engine, Written
from udfs.hf.messages import Told
from udfs.hf.settings import HfSettings
from udfs.images import UnreadableImage, smaller_rgb
from udfs.models import Desk, Reply, Request
from udfs.prompts import split_prompt

_AHEAD: Final = 2
"""Batches that are prepared while the model writes."""
_MOST_FAILURES: Final = 8
"""So many failures before the first answer, and the model is taken to fail on everything."""
_MAX_DETAIL: Final = 300

Outcome = tuple[Request, Reply]


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A request under way, with what was done about it so far."""

    request: Request
    told: Told
    attempts: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class _Batch:
    """Rows that the model is given together, and those that it cannot be given."""

    rows: Sequence[_Row]
    inputs: Any
    """Tensors; None where there are no rows, or none could be made of them all."""
    unreadable: Sequence[Outcome] = ()


class Asker:
    """Asks the model of ``engine`` the question on ``desk``."""

    def __init__(self, engine: Engine, settings: HfSettings, desk: Desk) -> None:
        self._engine, self._settings, self._desk = engine, settings, desk
        self._instructions, self._own = split_prompt(desk.prompt)
        self._again: deque[_Row] = deque()

    def replies(self, requests: Iterable[Request]) -> Iterator[Outcome]:
        """Yield each request with its reply, recorded: batches as they are done, second questions behind them.

        Raises ModelFailed where the model fails on everything, and where its GPU is of no more use to this process.
        """
        for request, reply in _unless_all_fail(self._outcomes(requests)):
            self._desk.record(request, reply)
            yield request, reply

    def _outcomes(self, requests: Iterable[Request]) -> Iterator[Outcome]:
        size = self._settings.batch_size
        # The next ones are decoded while the model is at work.
        for batch in ahead(self._prepare, _chunks(requests, size), most=_AHEAD):
            yield from batch.unreadable
            yield from self._answer(batch.rows, batch.inputs)
            while len(self._again) >= size:
                yield from self._answer_again(size)
        while self._again:
            yield from self._answer_again(size)

    def _prepare(self, requests: Sequence[Request]) -> _Batch:
        rows, unreadable = [], []
        for request in requests:
            try:
                rows.append(_Row(request=request, told=self._told(request)))
            except UnreadableImage as error:
                unreadable.append((request, Reply(reason=error.reason, detail=str(error), attempts=0)))
        return _Batch(rows, self._encoded(rows), unreadable)

    def _told(self, request: Request) -> Told:
        image = None
        if self._settings.images:
            if request.image is None:
                raise UnreadableImage("missing_image", "there is no image to look at")
            image = smaller_rgb(request.image, max_pixels=self._settings.max_pixels)
        own = request.fill(self._own)
        return Told(instructions=self._instructions, own=own, image=image)

    def _encoded(self, rows: Sequence[_Row]) -> Any:
        """Return the tensors of ``rows``; None where they cannot be made, which shows again when they are written."""
        try:
            return self._engine.encode([row.told for row in rows]) if rows else None
        except Exception:  # a processor's errors are of any class
            return None

    def _answer_again(self, count: int) -> Iterator[Outcome]:
        rows = [self._again.popleft() for _ in range(min(count, len(self._again)))]
        yield from self._answer(rows, None)

    def _answer(self, rows: Sequence[_Row], inputs: Any) -> Iterator[Outcome]:
        """Yield what came of ``rows``; those that are to be asked again wait for it. Halves what cannot be answered."""
        if not rows:
            return
        began = time.monotonic()
        found = self._try(rows, inputs)
        seconds = time.monotonic() - began
        if isinstance(found, _Failure) and len(rows) > 1:
            for half in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
                yield from self._answer(half, None)
        elif isinstance(found, _Failure):
            yield rows[0].request, _reply(_asked(rows[0], seconds), reason=found.reason, detail=found.detail)
        else:
            for row, written in zip(rows, found, strict=True):
                yield from self._judge(_asked(row, seconds, written), written)

    def _try(self, rows: Sequence[_Row], inputs: Any) -> "list[Written] | _Failure":
        try:
            inputs = self._engine.encode([row.told for row in rows]) if inputs is None else inputs
            return self._engine.write(inputs, max_new_tokens=self._settings.max_new_tokens)
        except torch.OutOfMemoryError as error:
            failure = _Failure("out_of_memory", _said(error))
        except Exception as error:  # a processor's and a model's errors are of any class
            if "CUDA error" in str(error):  # every call after it fails too, whatever the row
                raise ModelFailed(f"the GPU failed in the middle of a batch: {_said(error)}") from error
            failure = _Failure("model_error", _said(error))
        # Behind the handler: until it ends, the error holds the tensors that were too many.
        free_cached_memory()
        return failure

    def _judge(self, row: _Row, written: Written) -> Iterator[Outcome]:
        """Yield the reply; nothing where the answer is of no use and the model was asked only once."""
        if written.is_cut:
            limit = self._settings.max_new_tokens
            detail = f"the answer met max_new_tokens, {limit}, before its end"
            yield row.request, _reply(row, reason="cut_answer", detail=detail, raw=written.text)
        elif not written.text:
            yield row.request, _reply(row, reason="empty_answer", detail="the model said nothing")
        elif row.attempts == 1 and (complaint := self._desk.task.complaint(written.text)) is not None:
            self._again.append(replace(row, told=replace(row.told, unusable=(written.text, complaint))))
        else:
            yield row.request, _reply(row, answer=written.text)


@dataclass(frozen=True)
class _Failure:
    """Why a batch has no answers."""

    reason: str
    detail: str


def _asked(row: _Row, seconds: float, written: Written | None = None) -> _Row:
    return replace(
        row,
        attempts=row.attempts + 1,
        seconds=row.seconds + seconds,
        input_tokens=row.input_tokens + (written.input_tokens if written else 0),
        output_tokens=row.output_tokens + (written.output_tokens if written else 0),
    )


def _reply(row: _Row, **fields: str) -> Reply:
    counted = {"input_tokens": row.input_tokens or None, "output_tokens": row.output_tokens or None}
    return Reply(**fields, **counted, seconds=row.seconds, attempts=row.attempts)  # type: ignore[arg-type]


def _chunks(requests: Iterable[Request], size: int) -> Iterator[list[Request]]:
    rest = iter(requests)
    while chunk := list(islice(rest, size)):
        yield chunk


def _unless_all_fail(outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    """Yield ``outcomes``, the failures of the model only once it has answered something or all is through.

    A model that fails on everything is set up wrongly: rows must not be turned away for that. Raises ModelFailed then.
    """
    held: list[Outcome] = []
    rest = iter(outcomes)
    for request, reply in rest:
        if reply.reason in ("model_error", "out_of_memory"):
            held.append((request, reply))
        elif reply.attempts:
            yield from (*held, (request, reply))
            yield from rest
            return
        else:
            yield request, reply
        if len(held) >= _MOST_FAILURES:
            raise ModelFailed(f"the model failed on each of the first {len(held)} images: {reply.detail}")
    yield from held


def _said(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return (text or type(error).__name__)[:_MAX_DETAIL]
