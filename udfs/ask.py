"""Ask a model about a batch of samples: Arrow in, one answer a row out, ready for the ledger."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa

from udfs.models import Describer, Reply, Request, load
from udfs.prompts import Prompt

MAX_ANSWER = 64 * 1024
"""How much of an answer is kept, in characters."""

_INPUTS: Final = ("sample_id", "image_id", "alt_text", "web_tags", "colours", "width", "height")

ANSWER_SCHEMA: Final = pa.schema(
    {
        "request_key": pa.string(),
        "sample_id": pa.string(),
        "status": pa.string(),
        "reason": pa.string(),
        "answer": pa.string(),
        "input_tokens": pa.int64(),
        "output_tokens": pa.int64(),
        "cost_usd": pa.float64(),
        "seconds": pa.float64(),
        "attempts": pa.int32(),
        "asked_at": pa.timestamp("us", tz="UTC"),
    }
)


def author_of(model: str, prompt: Prompt) -> dict[str, str]:
    """Return who writes where ``model`` answers to ``prompt``, by the names of columns: another writes other texts."""
    return {"model": model, "revision": load(model).revision, "prompt_hash": prompt.sha256}


def ask(batches: Iterable[pa.RecordBatch], *, model: str, prompt: str) -> Iterator[pa.RecordBatch]:
    """Yield the answers of ``model`` to ``batches`` of requests, one row a request, in order.

    ``batches`` hold ``request_key``, the columns of a sample and, where the model looks at it, ``image``.
    """
    describer = load(model)
    for batch in batches:
        yield _answers(describer, batch, prompt)


def _answers(describer: Describer, batch: pa.RecordBatch, prompt: str) -> pa.RecordBatch:
    keys = batch["request_key"].to_pylist()
    requests = [_request(row, prompt) for row in batch.drop_columns(["request_key"]).to_pylist()]
    replies = describer.describe(requests)
    if len(replies) != len(requests):
        raise ValueError(f"the model gave {len(replies)} replies to {len(requests)} requests: expected one each")
    rows = [_row(key, request, reply) for key, request, reply in zip(keys, requests, replies, strict=True)]
    return pa.RecordBatch.from_pylist(rows, schema=ANSWER_SCHEMA)


def _request(row: dict[str, Any], prompt: str) -> Request:
    tags, colours = tuple(row.pop("web_tags")), tuple(row.pop("colours"))
    return Request(prompt=prompt, web_tags=tags, colours=colours, **row)


def _row(key: str, request: Request, reply: Reply) -> dict[str, Any]:
    return {
        "request_key": key,
        "sample_id": request.sample_id,
        "status": "answered" if reply.reason is None else "failed",
        "reason": reply.reason,
        "answer": None if reply.answer is None else _storable(reply.answer),
        "input_tokens": reply.input_tokens,
        "output_tokens": reply.output_tokens,
        "cost_usd": reply.cost_usd,
        "seconds": reply.seconds,
        "attempts": reply.attempts,
        "asked_at": datetime.now(UTC),
    }


def _storable(answer: str) -> str:
    # One lone surrogate in one answer would fail the whole Arrow batch, and with it the job.
    return answer[:MAX_ANSWER].encode("utf-8", "replace").decode()
