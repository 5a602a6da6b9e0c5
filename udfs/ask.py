"""Ask a model about samples: Arrow in, one answer a row out, ready for the ledger; each in the journal before that."""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa

from lakehouse.answer_counter import AnswerCounter
from lakehouse.governor import Address
from lakehouse.journal import Journal, journal_files, open_journal, read_records
from lakehouse.under_way import left_open
from udfs.models import Desk, Reply, Request, load
from udfs.prompts import Prompt
from udfs.tasks import TASKS

MAX_ANSWER = 64 * 1024
"""How much of an answer is kept, in characters."""

_BATCH_ROWS = 256
_BATCH_SECONDS = 0.2
"""Answers leave in batches this large, or after so long: each batch is one wait for the disk."""

ANSWER_SCHEMA: Final = pa.schema(
    {
        "request_key": pa.string(),
        "sample_id": pa.string(),
        "status": pa.string(),
        "reason": pa.string(),
        "detail": pa.string(),
        "answer": pa.string(),
        "raw": pa.string(),
        "input_tokens": pa.int64(),
        "output_tokens": pa.int64(),
        "cost_usd": pa.float64(),
        "seconds": pa.float64(),
        "attempts": pa.int32(),
        "asked_at": pa.timestamp("us", tz="UTC"),
    }
)


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked about every sample, by whom, and where the answers are kept until the ledger has them."""

    model: str
    prompt: str
    """The text of the prompt file."""
    task: str
    journal: str
    """Folder of the journal."""
    limits: Address | None = None
    """Where leave to send is asked for."""


def author_of(model: str, prompt: Prompt) -> dict[str, str]:
    """Return who writes where ``model`` answers to ``prompt``, by the names of columns: another writes other texts."""
    describer = load(model)
    return {"model": describer.identity, "revision": describer.revision, "prompt_hash": prompt.sha256}


def ask(batches: Iterable[pa.RecordBatch], question: Question) -> Iterator[pa.RecordBatch]:
    """Yield one answer for each request in ``batches``, in any order.

    ``batches`` hold ``request_key``, the columns of a sample and, where the model looks at it, ``image``. What the
    journal has an answer to, from an earlier try of the same rows, is not asked.
    """
    found = _Found.in_folder(question.journal)
    journal = open_journal(question.journal)
    rows = _Rows(journal)
    desk = Desk(
        task=TASKS[question.task],
        prompt=question.prompt,
        record=rows.record,
        note=journal.write,
        keep=journal.keep,
        begun=found.begun,
        submitted=found.submitted,
        limits=question.limits,
    )
    try:
        with AnswerCounter(question.limits) as counter:
            for _ in load(question.model).describe(_unanswered(batches, found, rows), desk):
                if rows.is_due:
                    yield rows.take(counter)
            yield rows.take(counter)
    finally:
        journal.close()


def read_journal(files: Iterable[str]) -> Iterator[pa.RecordBatch]:
    """Yield the answers in ``files`` of a journal, as the ledger takes them."""
    rows: list[dict[str, Any]] = []
    for record in read_records(files):
        if record["kind"] == "answer" and record["status"] != "missed":
            rows.append(_from_record(record))
        if len(rows) >= _BATCH_ROWS:
            yield _batch(rows)
            rows = []
    yield _batch(rows)


@dataclass(frozen=True)
class _Found:
    """What the journal holds of an earlier try: answers and first answers by request key, and what was handed in."""

    answers: Mapping[str, Mapping[str, Any]]
    begun: Mapping[str, Mapping[str, Any]]
    submitted: Sequence[Mapping[str, Any]]

    @classmethod
    def in_folder(cls, folder: str) -> "_Found":
        answers, notes = {}, []
        for record in read_records(journal_files(folder)):
            if record["kind"] == "answer":
                answers[record["request_key"]] = record
            elif record["kind"] != "intent":
                notes.append(record)
        left = left_open(notes, {key: record["status"] for key, record in answers.items()})
        begun = {note["request_key"]: note for note in left if note["kind"] == "unreadable"}
        return cls(answers, begun, [note for note in left if note["kind"] == "submission"])


@dataclass
class _Rows:
    """Answers on their way: written down when they come, handed on in batches once they are on disk."""

    journal: Journal
    _rows: list[dict[str, Any]] = field(default_factory=list)
    _since: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def record(self, request: Request, reply: Reply) -> None:
        row = _row(request, reply)
        self.journal.write({"kind": "answer", **row, "asked_at": row["asked_at"].isoformat()})
        with self._lock:
            self._rows.append(row)

    def add(self, record: Mapping[str, Any]) -> None:
        with self._lock:
            self._rows.append(_from_record(record))

    @property
    def is_due(self) -> bool:
        return len(self._rows) >= _BATCH_ROWS or time.monotonic() - self._since >= _BATCH_SECONDS

    def take(self, counter: AnswerCounter) -> pa.RecordBatch:
        with self._lock:
            rows, self._rows, self._since = self._rows, [], time.monotonic()
        self.journal.keep()
        counter.add(len(rows))
        return _batch(rows)


def _unanswered(batches: Iterable[pa.RecordBatch], found: _Found, rows: _Rows) -> Iterator[Request]:
    for batch in batches:
        images = batch["image"] if "image" in batch.schema.names else None
        plain = batch.drop_columns(["image"]) if images is not None else batch
        for place, row in enumerate(plain.to_pylist()):
            if (record := found.answers.get(row["request_key"])) is not None:
                rows.add(record)
                continue
            tags, colours = tuple(row.pop("web_tags")), tuple(row.pop("colours"))
            image = images[place].as_py() if images is not None else None
            yield Request(image=image, web_tags=tags, colours=colours, **row)


def _row(request: Request, reply: Reply) -> dict[str, Any]:
    return {
        "request_key": request.request_key,
        "sample_id": request.sample_id,
        "status": reply.status,
        "reason": reply.reason,
        "detail": _storable(reply.detail),
        "answer": _storable(reply.answer),
        "raw": _storable(reply.raw),
        "input_tokens": reply.input_tokens,
        "output_tokens": reply.output_tokens,
        "cost_usd": reply.cost_usd,
        "seconds": reply.seconds,
        "attempts": reply.attempts,
        "asked_at": datetime.now(UTC),
    }


def _from_record(record: Mapping[str, Any]) -> dict[str, Any]:
    return {**record, "asked_at": datetime.fromisoformat(record["asked_at"])}


def _batch(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(rows, schema=ANSWER_SCHEMA)


def _storable(text: str | None) -> str | None:
    # One lone surrogate in one answer would fail the whole Arrow batch, and with it the job.
    return None if text is None else text[:MAX_ANSWER].encode("utf-8", "replace").decode()
