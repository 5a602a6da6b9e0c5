"""A server with OpenAI's Batch API beside the chat server, whose answers are the same: for tests.

It takes files, works through batches a while after they were made, and counts how often it worked on each request. What
goes wrong with real batches is switched on by its fields.
"""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from benchmarks.chat_server import Asked, ChatServer, completion, refusal


@dataclass
class BatchServer:
    """What the server is, and what it has seen. Requests are named by their ``custom_id``."""

    chat: ChatServer = field(default_factory=ChatServer)
    delay: float = 0.0
    """Seconds from a batch's making to its end."""
    drops: Collection[str] = ()
    """Requests that are worked on, and whose line is then lost."""
    refuses: Collection[str] = ()
    """Requests that are refused with 400: their line is in the error file."""
    doubles: Collection[str] = ()
    """Requests that have a second line, without an answer, at the end."""
    stray_lines: tuple[bytes, ...] = ()
    """What else stands in every output."""
    works: int = 1_000_000
    """So many requests of each batch are worked on; to the others it does not come before its end."""
    ends_as: str = "completed"
    """How a batch ends: completed, expired, failed, cancelled; or never, where it ends only when it is cancelled."""
    fails_with: str = "token_limit_exceeded"
    """The code of a batch that fails."""
    queue: int | None = None
    """So many requests may wait in unfinished batches; what is made beyond that fails."""
    before: Callable[[str], web.StreamResponse | None] = lambda step: None
    """Called before each step: upload, create, list, retrieve, content, cancel, delete; may answer instead of it."""
    after: Callable[[str], web.StreamResponse | None] = lambda step: None
    """Called after each step, before it is answered; may answer otherwise."""
    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    """Files that nobody can read any more."""
    worked_on: Counter[str] = field(default_factory=Counter)
    _working: set[asyncio.Task[None]] = field(default_factory=set)

    def app(self) -> web.Application:
        """Return the application."""
        app = self.chat.app()
        app.router.add_post("/v1/files", self._step("upload", self._upload))
        app.router.add_get("/v1/files/{id}/content", self._step("content", self._content))
        app.router.add_delete("/v1/files/{id}", self._step("delete", self._delete))
        app.router.add_post("/v1/batches", self._step("create", self._create))
        app.router.add_get("/v1/batches", self._step("list", self._list))
        app.router.add_get("/v1/batches/{id}", self._step("retrieve", self._retrieve))
        app.router.add_post("/v1/batches/{id}/cancel", self._step("cancel", self._cancel))
        return app

    def _step(self, name: str, handle: Any) -> Any:
        async def handler(request: web.Request) -> web.StreamResponse:
            instead = self.before(name)
            if instead is not None:
                return instead
            response: web.StreamResponse = await handle(request)
            return self.after(name) or response

        return handler

    async def _upload(self, request: web.Request) -> web.Response:
        fields = await request.post()
        file = fields["file"]
        assert isinstance(file, web.FileField)
        content = file.file.read()
        return web.json_response({"id": self._kept(content), "object": "file", "bytes": len(content)})

    async def _content(self, request: web.Request) -> web.Response:
        number = request.match_info["id"]
        content = None if number in self.deleted else self.files.get(number)
        return refusal(404, "No such File object") if content is None else web.Response(body=content)

    async def _delete(self, request: web.Request) -> web.Response:
        number = request.match_info["id"]
        self.deleted.add(number)
        return web.json_response({"id": number, "object": "file", "deleted": True})

    async def _create(self, request: web.Request) -> web.Response:
        asked = await request.json()
        number = f"batch_{len(self.batches)}"
        made = {"id": number, "object": "batch", "status": "in_progress", "created_at": int(time.time())}
        self.batches[number] = made | {name: asked.get(name) for name in ("input_file_id", "endpoint", "metadata")}
        task = asyncio.create_task(self._work(self.batches[number]))
        self._working.add(task)
        return web.json_response(self.batches[number])

    async def _list(self, request: web.Request) -> web.Response:
        limit, newest = int(request.query.get("limit", 20)), list(reversed(self.batches.values()))
        numbers = [batch["id"] for batch in newest]
        start = numbers.index(request.query["after"]) + 1 if "after" in request.query else 0
        page = newest[start : start + limit]
        more = {"has_more": start + limit < len(newest)}
        return web.json_response({"object": "list", "data": page, **more})

    async def _retrieve(self, request: web.Request) -> web.Response:
        batch = self.batches.get(request.match_info["id"])
        return refusal(404, "No batch found") if batch is None else web.json_response(batch)

    async def _cancel(self, request: web.Request) -> web.Response:
        batch = self.batches[request.match_info["id"]]
        self._finish(batch, "cancelled")
        return web.json_response(batch)

    async def _work(self, batch: dict[str, Any]) -> None:
        waiting = sum(self._size(one) for one in self.batches.values() if one["status"] == "in_progress")
        if self.queue is not None and waiting > self.queue:
            self._finish(batch, "failed")
            return
        await asyncio.sleep(self.delay)
        if self.ends_as != "never" and batch["status"] == "in_progress":
            self._finish(batch, self.ends_as)

    def _size(self, batch: dict[str, Any]) -> int:
        return len(self.files[batch["input_file_id"]].splitlines())

    def _finish(self, batch: dict[str, Any], status: str) -> None:
        batch["status"] = status
        if status == "failed":  # nothing of it was begun
            batch["errors"] = {"object": "list", "data": [{"code": self.fails_with, "message": "too many"}]}
            return
        requests = [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]
        lines = [line for request in requests[: self.works] for line in self._lines(request)]
        lines += [_unworked(request, status) for request in requests[self.works :]]
        lines = random.Random(0).sample(lines, len(lines))
        lines += [_line(request["custom_id"], 200, {}) for request in requests if request["custom_id"] in self.doubles]
        good = [line for line in lines if (line["response"] or {}).get("status_code") == 200]
        bad = [line for line in lines if line not in good]
        batch["output_file_id"] = self._kept(_jsonl(good) + b"".join(self.stray_lines))
        batch["error_file_id"] = self._kept(_jsonl(bad)) if bad else None
        batch["completed_at"] = int(time.time()) if status == "completed" else None

    def _lines(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        key = request["custom_id"]
        self.worked_on[key] += 1
        if key in self.drops:
            return []
        if key in self.refuses:
            return [_line(key, 400, {"error": {"message": "Invalid image data", "type": "invalid_request_error"}})]
        asked = Asked.read(json.dumps(request["body"]).encode())
        return [_line(key, 200, completion(asked))]

    def _kept(self, content: bytes) -> str:
        number = f"file-{len(self.files)}"
        self.files[number] = content
        return number


def _line(key: str, status: int, body: dict[str, Any]) -> dict[str, Any]:
    response = {"status_code": status, "request_id": f"req_{key}", "body": body}
    return {"id": f"batch_req_{key}", "custom_id": key, "response": response, "error": None}


def _unworked(request: dict[str, Any], status: str) -> dict[str, Any]:
    error = {"code": f"batch_{status}", "message": "This request could not be executed before the end of the batch."}
    return {"id": "batch_req_", "custom_id": request["custom_id"], "response": None, "error": error}


def _jsonl(lines: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)
