"""A chat server whose every answer and delay is a function of the request: for benchmarks and tests.

    python -m benchmarks.chat_server --port 8001 --log log.jsonl --latency 1.0 --most 64

It speaks OpenAI's protocol, draws its delays from an exponential distribution seeded by the request, refuses what is
over its capacity, and writes down each request that it has answered.
"""

import argparse
import asyncio
import base64
import hashlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web


@dataclass
class ChatServer:
    """What the server is, and what it has seen."""

    latency: float = 0.0
    """Mean delay in seconds."""
    most: int = 1_000_000
    """Requests at one time; the next is refused with 429."""
    key: str | None = None
    """The key that it accepts; None accepts any and none."""
    model: str = "tiny"
    log: str | None = None
    is_runaway: bool = False
    """Whether it writes prose, and as many tokens as it may, whatever it is asked for."""
    faults: float = 0.0
    """Share of requests that it fails on when they first come, by turns with 429, 500 and a connection that breaks."""
    answer: Callable[["Asked"], web.StreamResponse | None] | None = None
    """May answer instead; None leaves the request to the server."""
    in_flight: int = 0
    peak: int = 0
    served: list[dict[str, Any]] = field(default_factory=list)
    _failed_on: set[str] = field(default_factory=set)

    def app(self) -> web.Application:
        """Return the application."""
        app = web.Application(client_max_size=64 << 20)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/log", self._log)
        return app

    async def _models(self, request: web.Request) -> web.Response:
        if not self._is_known(request):
            return refusal(401, "Incorrect API key provided")
        return web.json_response({"object": "list", "data": [{"id": self.model, "object": "model"}]})

    async def _log(self, _: web.Request) -> web.Response:
        return web.json_response({"served": self.served, "peak": self.peak, "in_flight": self.in_flight})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        if not self._is_known(request):
            return refusal(401, "Incorrect API key provided")
        asked = Asked.read(await request.read())
        if self.in_flight >= self.most:
            return refusal(429, "too many requests")
        if (fault := self._fault(asked, request)) is not None:
            return fault
        began = time.time()
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        status, tokens = None, self._tokens(asked)
        try:
            await asyncio.sleep(self._delay(asked))
            response = (self.answer and self.answer(asked)) or self._usual(asked)
            status = response.status
            return response
        finally:
            self.in_flight -= 1
            told = {"request": asked.digest, "image": asked.image, "tokens": tokens}
            self._write({**told, "began": began, "status": status})

    def _usual(self, asked: "Asked") -> web.Response:
        """Answer; fail on the images whose SHA-256 the file beside the log, with ``.ill`` behind its name, holds."""
        ill = Path(f"{self.log}.ill")
        if self.log is not None and ill.exists() and asked.image in ill.read_text():
            return refusal(500, "out of order")
        if self.is_runaway:
            reply = completion(asked, "Let me think about it.", completion_tokens=asked.body["max_tokens"])
            return web.json_response(reply)
        return web.json_response(completion(asked))

    def _tokens(self, asked: "Asked") -> int:
        read, written = usage_of(asked).values()
        return read + (int(asked.body["max_tokens"]) if self.is_runaway else written)

    def _fault(self, asked: "Asked", request: web.Request) -> web.Response | None:
        place = int(asked.digest[:8], 16)
        if place >= self.faults * 16**8 or asked.digest in self._failed_on:
            return None
        self._failed_on.add(asked.digest)
        if place % 3 == 2 and request.transport is not None:
            request.transport.abort()
        return (refusal(429, "slow down"), refusal(500, "out of order"), refusal(503, "gone"))[place % 3]

    def _write(self, line: dict[str, Any]) -> None:
        line["ended"] = time.time()
        self.served.append(line)
        if self.log is not None:
            with open(self.log, "a") as file:
                file.write(json.dumps(line) + "\n")

    def _delay(self, asked: "Asked") -> float:
        """Return a delay of ``latency`` on average: a sixth of it for the prompt, the rest for the answer."""
        return self.latency * (1 + 5 * random.Random(asked.digest).expovariate(1)) / 6

    def _is_known(self, request: web.Request) -> bool:
        return self.key is None or request.headers.get("Authorization") == f"Bearer {self.key}"


@dataclass(frozen=True)
class Asked:
    """A request, read."""

    body: dict[str, Any]
    digest: str
    """SHA-256 of the body."""
    image: str
    """SHA-256 of the image's bytes; of none where there is none."""
    text: str
    """All text of the request, in order."""

    @classmethod
    def read(cls, content: bytes) -> "Asked":
        """Return what ``content`` asks."""
        body = json.loads(content)
        parts = [part for message in body["messages"] for part in _parts(message["content"])]
        url = next((part["image_url"]["url"] for part in parts if part["type"] == "image_url"), "")
        image = base64.b64decode(url.partition(",")[2])
        text = "\n".join(part["text"] for part in parts if part["type"] == "text")
        return cls(body, hashlib.sha256(content).hexdigest(), hashlib.sha256(image).hexdigest(), text)


def _parts(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def texts(asked: Asked) -> str:
    """Return four texts that name the image by its hash, so that an answer on the wrong row shows.

    One sentence, where the request asks for no JSON.
    """
    if "response_format" not in asked.body:
        return f"The image shows {asked.image}."
    return json.dumps(
        {
            "long_positive": f"The image shows {asked.image}.",
            "short_positive": [asked.image[:12]],
            "long_negative": f"The image shows {asked.image[::-1]}.",
            "short_negative": [asked.image[::-1][:12]],
        }
    )


def usage_of(asked: Asked) -> dict[str, int]:
    """Return the tokens of a request and of the usual answer to it."""
    return {"prompt_tokens": len(asked.text) // 4 + 256, "completion_tokens": 80}


def completion(asked: Asked, content: Any = None, *, finish: str = "stop", **usage: int) -> dict[str, Any]:
    """Return a reply in OpenAI's form, with ``content`` or the usual texts."""
    content = texts(asked) if content is None else content
    counted = usage_of(asked) | usage
    return {
        "id": f"chatcmpl-{asked.digest[:12]}",
        "object": "chat.completion",
        "model": asked.body.get("model"),
        "choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish}],
        "usage": counted | {"total_tokens": sum(counted.values())},
    }


def refusal(status: int, message: str, **headers: str) -> web.Response:
    """Return an error in OpenAI's form."""
    return web.json_response({"error": {"message": message, "type": "error"}}, status=status, headers=headers)


async def _serve(server: ChatServer, port: int) -> None:
    runner = web.AppRunner(server.app(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    print(f"http://127.0.0.1:{port}/v1", flush=True)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    parent = os.getppid()
    while not ended.is_set() and os.getppid() == parent:  # it ends with whoever started it
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), 1)
    await runner.cleanup()


def main() -> int:
    """Serve until ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log")
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--most", type=int, default=1_000_000)
    parser.add_argument("--key")
    parser.add_argument("--runaway", dest="is_runaway", action="store_true")
    parser.add_argument("--faults", type=float, default=0.0)
    args = vars(parser.parse_args())
    port = args.pop("port")
    server = ChatServer(**args)
    asyncio.run(_serve(server, port))
    return 0


if __name__ == "__main__":
    sys.exit(main())
