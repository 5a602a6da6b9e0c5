"""CPU of the client for one request with a 48 KB image, on one core: ours, journal and limits included, and OpenAI's.

python -m benchmarks.caption.client_cost ours http://127.0.0.1:8001/v1 2000
"""

import asyncio
import base64
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa

from benchmarks.caption.servers import serving
from benchmarks.samples import PNG
from lakehouse.governor import Governor
from lakehouse.limits import Limits
from udfs.ask import Question, ask
from udfs.prompts import read_prompt

IN_FLIGHT: Final = 64
IMAGE_BYTES: Final = 48_000
_REQUESTS: Final = {"ours": 4000, "openai": 1000}
_ROUNDS: Final = 3


def measure() -> dict[str, Any]:
    """Return medians of milliseconds of CPU a request, ours and OpenAI's client in turn against one server."""
    found: dict[str, list[float]] = {client: [] for client in _REQUESTS}
    with serving(core=1) as server:
        for _ in range(_ROUNDS):
            for client, requests in _REQUESTS.items():
                found[client].append(_in_a_process(client, server.url, requests))
    return {
        "cpu_ms_per_request": round(statistics.median(found["ours"]), 3),
        "cpu_ms_openai": round(statistics.median(found["openai"]), 3),
        "cpu_ms_rounds": {client: [round(one, 3) for one in rounds] for client, rounds in found.items()},
    }


def _in_a_process(client: str, url: str, requests: int) -> float:
    command = [sys.executable, "-m", "benchmarks.caption.client_cost", client, url, str(requests)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def _image(number: int) -> bytes:
    return PNG + hashlib.shake_128(str(number).encode()).digest(IMAGE_BYTES - len(PNG))


def _ours(url: str, requests: int) -> None:
    with tempfile.TemporaryDirectory() as journal, Governor(Limits(in_flight=IN_FLIGHT)) as governor:
        question = Question(
            model=url.replace("http", "openai+http", 1) + "?model=tiny",
            prompt=read_prompt("hqclip_student").text,
            task="describe",
            journal=journal,
            limits=governor.address,
        )
        answers = sum(batch.num_rows for batch in ask(_batches(requests), question))
    assert answers == requests


def _batches(requests: int) -> Iterator[pa.RecordBatch]:
    for first in range(0, requests, 500):
        rows = [_row(number) for number in range(first, min(first + 500, requests))]
        yield pa.RecordBatch.from_pylist(rows)


def _row(number: int) -> dict[str, Any]:
    ids = dict.fromkeys(("request_key", "sample_id", "image_id"), f"{number:064x}")
    said = {"alt_text": f"a duck, number {number}", "web_tags": ["duck"], "colours": ["red"]}
    return {**ids, **said, "width": 200, "height": 200, "image": _image(number)}


async def _openai(url: str, requests: int) -> None:
    from openai import AsyncOpenAI

    client, places = AsyncOpenAI(base_url=url, api_key="none", max_retries=0), asyncio.Semaphore(IN_FLIGHT)
    prompt = read_prompt("hqclip_student").text

    async def one(number: int) -> None:
        async with places:
            data = base64.b64encode(_image(number)).decode()
            parts: list[Any] = [
                {"type": "text", "text": prompt},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
            ]
            reply = await client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": parts}])
            json.loads(reply.choices[0].message.content or "")

    await asyncio.gather(*(one(number) for number in range(requests)))


def main(argv: list[str]) -> int:
    """Ask with one client, on one core, and print the milliseconds of CPU that a request took."""
    client, url, requests = argv[0], argv[1], int(argv[2])
    os.sched_setaffinity(0, {0})
    # What is made for a request, such as its image, is part of neither client.
    made = time.process_time()
    for number in range(requests):
        _image(number)
    made = time.process_time() - made
    began = time.process_time()
    if client == "ours":
        _ours(url, requests)
    else:
        asyncio.run(_openai(url, requests))
    print(1000 * (time.process_time() - began - made) / requests)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
