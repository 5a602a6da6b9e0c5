"""How busy a server is kept through Spark: mean in flight over allowed, from the first request to the last answer.

Beside it, in the same run, the way it is usually done: a function that gathers the answers of each Arrow batch.
"""

import asyncio
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from benchmarks.caption.servers import Server, serving
from benchmarks.samples import add_samples
from jobs import describe_images
from lakehouse.lake import Lake, open_lake
from lakehouse.session import connect, task_slots
from schemas import TABLES
from schemas.silver import DESCRIPTIONS, SAMPLES
from udfs.spark import map_stream

IN_FLIGHT: Final = 256
LATENCY: Final = 3.0
"""Seconds that an answer takes on average: what a model of seven billion weights takes for 200 tokens, under load."""
ROWS: Final = 20_000
ROWS_GATHERED: Final = 5_000
IMAGE_BYTES: Final = 48_000


def measure(folder: Path) -> dict[str, Any]:
    """Return the share of its places that the server had in use, ours and gathered by batch."""
    shutil.rmtree(folder, ignore_errors=True)
    root = str(folder / "lake")
    lake = open_lake(root, spark=connect("bench", logs=f"{root}/_logs"), tables=TABLES, run_id="bench")
    add_samples(lake, ROWS, image_bytes=IMAGE_BYTES)
    with serving(latency=LATENCY) as server:
        config = describe_images.Config(lake=root, model=server.model, max_in_flight=IN_FLIGHT)
        describe_images.JOB.run(lake, config)
        served = server.served()
    with serving(latency=LATENCY) as server:
        _gather(lake, server)
        gathered = server.served()
    return {
        "requests": len(served),
        "busy_share": round(_share(served), 3),
        "busy_share_gathered_by_batch": round(_share(gathered), 3),
        "requests_per_answer": len(served) / lake.read(DESCRIPTIONS).count(),
    }


def _share(served: list[dict[str, Any]]) -> float:
    began, ended = min(line["began"] for line in served), max(line["ended"] for line in served)
    return float(sum(line["ended"] - line["began"] for line in served) / (ended - began) / IN_FLIGHT)


def _gather(lake: Lake, server: Server) -> None:
    slots = task_slots(lake.spark)
    rows = lake.read(SAMPLES).limit(ROWS_GATHERED).repartition(slots).select("image", "alt_text")
    asked = partial(_gathered, url=server.url, places=IN_FLIGHT // slots)
    map_stream(rows, asked, pa.schema({"answer": pa.string()})).write.format("noop").mode("overwrite").save()


def _gathered(batches: Iterator[pa.RecordBatch], *, url: str, places: int) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        answers = asyncio.run(_answers(batch, url, places))
        yield pa.RecordBatch.from_pydict({"answer": answers})


async def _answers(batch: pa.RecordBatch, url: str, places: int) -> list[str]:
    import aiohttp
    import pybase64

    free = asyncio.Semaphore(places)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one(image: bytes, alt_text: str) -> str:
            data = pybase64.b64encode_as_string(image)
            url_part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
            content = [{"type": "text", "text": alt_text}, url_part]
            body = {"model": "tiny", "messages": [{"role": "user", "content": content}]}
            async with free, session.post(f"{url}/chat/completions", json=body) as reply:
                return str((await reply.json())["choices"][0]["message"]["content"])

        rows = zip(batch["image"].to_pylist(), batch["alt_text"].to_pylist(), strict=True)
        return await asyncio.gather(*(one(image, alt_text) for image, alt_text in rows))
