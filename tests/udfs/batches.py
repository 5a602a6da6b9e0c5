"""Questions by batch, as a task of a run puts them: for tests, and as a process of its own that may be killed."""

import asyncio
import hashlib
import json
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from aiohttp import web

from lakehouse.governor import Governor
from lakehouse.limits import Limits
from tests.hostile_images import encoded
from tests.jobs.pictures import line_of, picture
from udfs.ask import Question, ask
from udfs.prompts import read_prompt

Rows = dict[str, dict[str, Any]]
"""Rows of the ledger, by request key."""


def key_of(number: int) -> str:
    """Return the request key of sample ``number``."""
    return hashlib.sha256(f"sample {number}".encode()).hexdigest()


def image_of(number: int) -> bytes:
    """Return the image of sample ``number``."""
    return encoded(picture(number), "PNG")


def samples(numbers: Sequence[int]) -> pa.RecordBatch:
    """Return what is asked about the samples with ``numbers``."""
    same = {"colours": ["red"], "width": 96, "height": 80}
    rows = [
        {"request_key": key_of(n), "sample_id": key_of(n)[::-1], "image_id": f"i{n}", "image": image_of(n)} | same
        for n in numbers
    ]
    told = [{"alt_text": line_of(n)["title"], "web_tags": line_of(n)["tags"]} for n in numbers]
    return pa.RecordBatch.from_pylist([row | more for row, more in zip(rows, told, strict=True)])


def asked(model: str, journal: Path, numbers: Sequence[int], limits: Limits | None = None) -> Rows:
    """Return the answers about the samples with ``numbers``, by request key."""
    prompt = read_prompt("hqclip_student").text
    with Governor(limits or Limits()) as governor:
        question = Question(model=model, prompt=prompt, task="describe", journal=str(journal), limits=governor.address)
        batches = list(ask([samples(numbers)], question))
    rows = [row for batch in batches for row in batch.to_pylist()]
    assert len(rows) == len({row["request_key"] for row in rows})
    return {row["request_key"]: row for row in rows}


def is_about(row: dict[str, Any], number: int) -> bool:
    """Say whether ``row`` is the answer about sample ``number``: the server names the image by its hash."""
    shown = hashlib.sha256(image_of(number)).hexdigest()
    said = json.loads(row["answer"] or "{}").get("long_positive")
    return row["status"] == "answered" and bool(said == f"The image shows {shown}.")


@contextmanager
def served(app: web.Application) -> Iterator[str]:
    """Serve ``app`` on this machine inside the block; yield its address, host and port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    runner = web.AppRunner(app, access_log=None)

    async def start() -> str:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return "{}:{}".format(*runner.addresses[0])

    yield asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


if __name__ == "__main__":
    asked(sys.argv[1], Path(sys.argv[2]), range(int(sys.argv[3])))
