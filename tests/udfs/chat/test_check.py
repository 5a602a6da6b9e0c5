"""What is found out about a server before anything is asked of it, from the lists of models that servers keep."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from benchmarks.chat_server import Asked, ChatServer, refusal
from lakehouse.errors import ModelFailed
from lakehouse.limits import Limits
from tests.chat import ask, request, serving
from udfs.models import load


@dataclass
class ListingServer(ChatServer):
    """Answers the question for its models as it is told to."""

    rows: Any = None
    status: int = 200
    listed: int = 0
    """Times that it was asked for its models."""

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v1/models", self._listed)
        app.router.add_post("/v1/chat/completions", self._chat)
        return app

    async def _listed(self, _: web.Request) -> web.Response:
        self.listed += 1
        return web.json_response({"data": self.rows}, status=self.status)


def assert_good(server: ListingServer, **given: str) -> None:
    """Fail unless ``server`` is found good by its list alone: checked against it, and asked for no answer."""
    with serving(server) as uri:
        load("&".join([uri, *(f"{name}={value}" for name, value in given.items())])).check()
    assert (server.listed, server.served) == (1, [])


def row(name: str, *modalities: str) -> dict[str, Any]:
    """Return what llama.cpp's server says of a model."""
    return {"id": name, "object": "model", "architecture": {"input_modalities": list(modalities)}}


def test_a_model_that_is_listed_as_blind_is_refused_before_it_is_asked() -> None:
    server = ListingServer(rows=[row("tiny", "text")])
    with serving(server) as uri, pytest.raises(ModelFailed, match="'tiny' cannot see images: with images=off in its"):
        load(uri).check()
    assert server.served == []


def test_a_blind_model_that_is_shown_no_image_is_good() -> None:
    assert_good(ListingServer(rows=[row("tiny", "text")]), images="off")


@pytest.mark.parametrize(
    "told", [row("tiny", "text", "image"), row("tiny"), {"id": "tiny"}, {"id": "tiny", "architecture": "llava"}]
)
def test_a_model_that_is_not_said_to_be_blind_is_good(told: dict[str, Any]) -> None:
    assert_good(ListingServer(rows=[told]))


@pytest.mark.parametrize("rows", [None, [], {}, "many", [None, 7, {"id": 7}]])
def test_a_list_that_names_no_model_says_nothing_against_one(rows: Any) -> None:
    assert_good(ListingServer(rows=rows))


def test_a_server_that_cannot_list_its_models_may_be_asked() -> None:
    assert_good(ListingServer(status=500))


def test_a_folder_is_not_looked_for_among_names() -> None:
    """`transformers serve FOLDER` lists what it has downloaded earlier, never the folder that it serves."""
    assert_good(ListingServer(rows=[row("org/other")], model="/models/llava"))


def test_a_folder_is_looked_for_among_folders() -> None:
    server = ListingServer(rows=[row("/models/llava-7b")], model="/models/llava")
    with serving(server) as uri, pytest.raises(ModelFailed, match="did you mean '/models/llava-7b'"):
        load(uri).check()


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "Server is pinned to '/models/llava'; requested 'tiny'."),
        (400, "Invalid model name passed in model=tiny"),
        (400, "tiny is not a valid model ID"),
        (404, "The model `tiny` does not exist."),
        (422, "unknown model tiny"),
    ],
)
def test_a_server_that_has_another_model_ends_the_run_after_one_request(status: int, said: str) -> None:
    server = ChatServer(answer=lambda asked: refusal(status, said))
    with serving(server) as uri, pytest.raises(ModelFailed, match=rf"no such model or address \({status}\): "):
        ask(uri, [request(f"duck {number}") for number in range(20)])
    assert len(server.served) == 1


def test_a_refusal_of_one_request_ends_no_run() -> None:
    said = "This model's maximum context length is 1024 tokens. However, your request has 4096 input tokens."
    with serving(ChatServer(answer=lambda asked: refusal(400, said) if '"long"' in asked.text else None)) as uri:
        replies = ask(uri, map(request, ["duck", "long"]))
    assert (replies["duck"][1].reason, replies["long"][1].reason) == (None, "bad_request")


def test_a_server_that_refuses_every_request_ends_the_run_before_all_rows_are_lost() -> None:
    """vLLM does where the instructions are over its context; others do for a field they do not know."""
    server = ChatServer(answer=lambda asked: refusal(400, "This model's maximum context length is 1024 tokens."))
    with (
        serving(server) as uri,
        pytest.raises(ModelFailed, match=r"answers no request; .* last of 16: .*context length"),
    ):
        ask(uri, [request(f"duck {number}") for number in range(200)])
    assert len(server.served) == 16
    assert server.peak == 1


@dataclass
class AnyServer(ChatServer):
    """Serves something else than a chat API: the same to whatever is asked."""

    status: int = 200
    body: str = ""
    asked: list[str] = field(default_factory=list)
    """The methods and paths of what was asked."""

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._same)
        app.router.add_post("/{path:.*}", self._same)
        return app

    async def _same(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.path}")
        headers = {"Location": "https://example.org/"} if self.status == 302 else None
        return web.Response(status=self.status, text=self.body, headers=headers)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, "<h1>Not Found</h1>"),
        (405, ""),
        (501, "Unsupported method ('POST')"),
        (302, ""),
        (200, "<html>Welcome</html>"),
        (200, '{"ok": true}'),
        (400, "Bad Request"),
    ],
)
def test_a_server_of_something_else_is_named_before_it_is_asked(status: int, body: str) -> None:
    with (
        serving(AnyServer(status=status, body=body)) as uri,
        pytest.raises(ModelFailed, match=rf"no chat API at http://\S+/v1 \({status}\): expected an address like"),
    ):
        load(uri).check()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, '{"error": {"message": "missing messages"}}'),
        (404, '{"error": {"message": "The model `` does not exist"}}'),
        (422, "Failed to deserialize the JSON body into the target type: missing field `messages`"),
        (503, "starting"),
    ],
)
def test_a_server_that_refuses_a_request_for_nothing_may_be_asked(status: int, body: str) -> None:
    server = AnyServer(status=status, body=body)
    with serving(server) as uri:
        load(uri).check()
    assert server.asked == ["GET /v1/models", "POST /v1/chat/completions"]


def test_a_key_that_is_refused_where_no_models_are_listed_is_named() -> None:
    server = ListingServer(status=404, key="right")
    with serving(server) as uri, pytest.raises(ModelFailed, match=r"refuses the key \(401\)"):
        load(uri).check()


@pytest.mark.parametrize("status", [403, 405])
def test_a_wall_that_turns_one_text_away_ends_no_run(status: int) -> None:
    with serving(ChatServer(answer=lambda asked: refusal(status, "no") if '"bad"' in asked.text else None)) as uri:
        replies = ask(uri, map(request, ["duck", "goose", "bad"]), limits=Limits(in_flight=1))
    assert [replies[name][1].reason for name in ("duck", "goose", "bad")] == [None, None, "bad_request"]


def test_replies_of_something_else_end_the_run_before_all_rows_are_lost() -> None:
    server = ChatServer(answer=lambda asked: web.json_response({"ok": True}))
    with serving(server) as uri, pytest.raises(ModelFailed, match=r"answers no request; .* no list of choices"):
        ask(uri, [request(f"duck {number}") for number in range(200)])
    assert len(server.served) == 16


def test_refusals_after_an_answer_end_no_run() -> None:
    def answer(asked: Asked) -> web.Response | None:
        return None if '"good"' in asked.text else refusal(400, "no")

    names = [*(f"duck {number}" for number in range(15)), "good", *(f"goose {number}" for number in range(40))]
    with serving(ChatServer(answer=answer)) as uri:
        replies = ask(uri, map(request, names), limits=Limits(in_flight=1))
    assert [reply.reason for _, reply in replies.values()].count("bad_request") == 15 + 40


@pytest.fixture
def port_without_http() -> Iterator[int]:
    """A port whose owner speaks first, and no HTTP: a database, a mail server."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def speak() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"220 ready\r\n")

        thread = threading.Thread(target=speak, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(10)


def test_what_is_no_web_server_is_named(port_without_http: int) -> None:
    with pytest.raises(ModelFailed, match=rf"no answer from http://127.0.0.1:{port_without_http}/v1: 220 ready"):
        load(f"openai+http://127.0.0.1:{port_without_http}/v1?model=m").check()
