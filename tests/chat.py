"""A chat server in a thread of the tests, and a model that asks it."""

import asyncio
import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from benchmarks.chat_server import ChatServer
from lakehouse.governor import Governor
from lakehouse.limits import Limits
from udfs.models import Desk, Reply, Request, load
from udfs.tasks import DESCRIBE

PNG = b"\x89PNG\r\n\x1a\n"
PROMPT = "Describe it.{image}Said of it: {alt_text}"


@contextmanager
def serving(server: ChatServer) -> Iterator[str]:
    """Run ``server`` on a free port of this machine while the block runs; give the URI of its model."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    runner = web.AppRunner(server.app(), access_log=None)

    async def start() -> int:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port: int = runner.addresses[0][1]
        return port

    port = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield f"openai+http://127.0.0.1:{port}/v1?model={server.model}"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(70)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def soon(holds: Callable[[], bool]) -> bool:
    """Say whether something comes to hold, within ten seconds."""
    end = time.monotonic() + 10
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return holds()


def request(name: str, *, image: bytes | None = None) -> Request:
    """Return a request about an image that no other name has."""
    image = PNG + name.encode(errors="replace") if image is None else image
    key = hashlib.sha256(name.encode(errors="replace")).hexdigest()
    image_id = hashlib.sha256(image).hexdigest()
    return Request(request_key=key, sample_id=key, image_id=image_id, alt_text=name, image=image, width=8, height=8)


def ask(
    uri: str, requests: Iterable[Request], *, limits: Limits | None = None, **desk: Any
) -> dict[str, tuple[Request, Reply]]:
    """Return the reply to each of ``requests``, by alt-text, as a task of a run would get it."""
    with Governor(limits or Limits(in_flight=8)) as governor:
        made = Desk(**{"task": DESCRIBE, "prompt": PROMPT, "limits": governor.address, **desk})
        return {asked.alt_text: (asked, reply) for asked, reply in load(uri).describe(requests, made)}
