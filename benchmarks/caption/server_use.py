"""How busy a server is kept through Spark: mean in flight over allowed, from the first request to the last answer.

Beside it, in the same run, the way it is usually done: a function that gathers the answers of each Arrow batch. Then
what a change of one alt-text in a hundred is asked again for, and a run where nothing has changed.
"""

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from pyspark.sql import SparkSession

from benchmarks.caption.servers import Server, serving
from benchmarks.samples import add_samples
from jobs import describe_images
from lakehouse.lake import Lake, open_lake
from lakehouse.session import task_slots
from schemas import TABLES
from schemas.silver import SAMPLES
from udfs.spark import map_stream

IN_FLIGHT: Final = 256
LATENCY: Final = 3.0
"""Seconds that an answer takes on average: what a model of seven billion weights takes for 200 tokens, under load."""
ROWS: Final = 20_000
ROWS_GATHERED: Final = 5_000
IMAGE_BYTES: Final = 48_000


def measure(folder: Path, spark: SparkSession) -> dict[str, Any]:
    """Return the share of its places that the server had in use, ours and gathered by batch, and requests by change."""
    lake = open_lake(str(folder / "busy"), spark=spark, tables=TABLES, run_id="bench")
    add_samples(lake, ROWS, image_bytes=IMAGE_BYTES)
    with serving(latency=LATENCY) as server:
        described = _describe(lake, server)
        served = server.served()
    with serving(latency=LATENCY) as server:
        _gather(lake, server)
        gathered = server.served()
    return {
        "requests": len(served),
        "busy_share": round(_share(served), 3),
        "busy_share_gathered_by_batch": round(_share(gathered), 3),
        "requests_per_answer": len(served) / described,
        **_changed(lake),
    }


def _describe(lake: Lake, server: Server) -> int:
    config = describe_images.Config(lake=lake.root, model=server.model, max_in_flight=IN_FLIGHT)
    return describe_images.JOB.run(lake, config).get("described", 0)


def _changed(lake: Lake) -> dict[str, int]:
    """Return the requests for one alt-text in a hundred that has changed, and for nothing new."""
    with serving() as server:
        # Where a server is does not change what its model would say, so what it was asked elsewhere is answered.
        add_samples(lake, ROWS // 100, image_bytes=IMAGE_BYTES, turn=1)
        _describe(lake, server)
        changed = len(server.served())
        _describe(lake, server)
        return {
            "changed_rows": ROWS // 100,
            "requests_for_changed_rows": changed,
            "requests_for_a_second_run": len(server.served()) - changed,
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
