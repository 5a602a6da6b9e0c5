"""Whatever a server sends, each request ends in an answer that holds up or in a typed failure with what was sent."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from aiohttp import web

from benchmarks.chat_server import Asked, ChatServer, completion, refusal, texts
from tests.chat import ask, request, serving
from udfs.descriptions import parse_answer
from udfs.reasons import REASONS

Answer = Callable[[Asked], web.StreamResponse | None]
DEEP = '{"a":' * 10_000


def body(content: bytes | str, *, status: int = 200, kind: str = "application/json") -> Answer:
    """Answer with these bytes."""
    content = content.encode() if isinstance(content, str) else content
    return lambda asked: web.Response(body=content, status=status, content_type=kind)


def envelope(change: Callable[[dict[str, Any]], object]) -> Answer:
    """Answer in the right form, but for one change."""

    def answer(asked: Asked) -> web.Response:
        reply = completion(asked)
        change(reply)
        return web.json_response(reply)

    return answer


def message(**fields: Any) -> Answer:
    """Answer with a message that has these fields instead."""
    return envelope(lambda reply: reply["choices"][0]["message"].update(fields))


def content(text: Any, **fields: Any) -> Answer:
    """Answer with this content."""
    return lambda asked: web.json_response(completion(asked, text, **fields))


def four(**fields: Any) -> Answer:
    """Answer with four texts, some of them these."""
    return lambda asked: web.json_response(completion(asked, json.dumps({**json.loads(texts(asked)), **fields})))


WORDS = "a dog and a cat "
HOSTILE: Mapping[str, tuple[Answer, str]] = {
    # the envelope
    "no json": (body("oops"), "bad_reply"),
    "nothing": (body(""), "bad_reply"),
    "cut json": (body('{"choices": [{"message": {"content": "x'), "bad_reply"),
    "bad utf-8": (body(b'{"choices": [{"message": {"content": "\xff\xfe"}}]}'), "bad_reply"),
    "lone surrogate": (body('{"choices": [{"message": {"content": "\\ud800"}}]}'), "bad_reply"),
    "nan": (body('{"choices": NaN}'), "bad_reply"),
    "ten thousand deep": (body(DEEP), "bad_reply"),
    "html with 200": (body("<html>Welcome to the hotel</html>", kind="text/html"), "bad_reply"),
    "a json text": (body('"hello"'), "bad_reply"),
    "null": (body("null"), "bad_reply"),
    "no choices": (envelope(lambda reply: reply.pop("choices")), "bad_reply"),
    "empty choices": (envelope(lambda reply: reply.update(choices=[])), "bad_reply"),
    "two choices": (envelope(lambda reply: reply.update(choices=reply["choices"] * 2)), "bad_reply"),
    "choices of a wrong type": (envelope(lambda reply: reply.update(choices={"0": "x"})), "bad_reply"),
    "a null choice": (envelope(lambda reply: reply.update(choices=[None])), "bad_reply"),
    "no message": (envelope(lambda reply: reply["choices"][0].pop("message")), "bad_reply"),
    "number as content": (message(content=42), "bad_reply"),
    "object as content": (message(content={"long_positive": "x"}), "bad_reply"),
    "null content": (message(content=None), "empty_answer"),
    "empty content": (message(content=""), "empty_answer"),
    "empty parts": (message(content=[{"type": "image"}, 7]), "empty_answer"),
    "five megabytes": (body(b'{"x": "' + b"y" * (5 << 20) + b'"}'), "bad_reply"),
    # what the model says of itself
    "refusal": (message(content=None, refusal="I cannot"), "refused"),
    "content filter": (content("", finish="content_filter"), "filtered_answer"),
    "cut by length": (content("{", finish="length"), "cut_answer"),
    # the answer
    "prose": (content("I'm sorry, I cannot help with that."), "not_json"),
    "blank": (content("  \n\u200b "), "empty_answer"),
    "half an object": (content('{"long_positive": "The image'), "not_json"),
    "deep answer": (content(DEEP), "not_json"),
    "two objects": (content('{"long_positive": "a"} {"long_positive": "b"}'), "not_json"),
    "a field twice": (content('{"long_positive": "a", "long_positive": "b"}'), "not_json"),
    "infinity": (content('{"long_positive": Infinity}'), "missing_field"),
    "huge number": (content('{"long_positive": ' + "9" * 5000 + "}"), "missing_field"),
    "missing field": (content('{"long_positive": "The image shows a kite."}'), "missing_field"),
    "wrong type": (four(short_positive={"a": 1}), "missing_field"),
    "only punctuation": (four(long_positive="..."), "missing_field"),
    "too long": (four(long_positive=WORDS * 500), "text_too_long"),
    "a megabyte of answer": (content("x" * (1 << 20)), "text_too_long"),
    "too many tags": (four(short_positive=[f"tag {n}" for n in range(1000)]), "text_too_long"),
    "contradiction": (four(short_positive=["kite"], short_negative=["Kite "]), "contradicting_tags"),
    "the same twice": (four(long_positive="A kite.", long_negative="A kite."), "missing_field"),
    "markup": (four(long_positive='The image shows <img src=x onerror="x">.'), "unsafe_text"),
    "address": (four(long_positive="Buy at https://evil.example now."), "unsafe_text"),
    "e-mail": (four(long_positive="Write to a.b@evil.example now."), "unsafe_text"),
    # the door
    "bad request": (lambda asked: refusal(400, "the image cannot be decoded"), "bad_request"),
    "too large": (lambda asked: refusal(413, "payload too large"), "bad_request"),
    "unprocessable": (body('{"detail": [{"msg": "no"}]}', status=422), "bad_request"),
    "teapot": (body("I'm a teapot", status=418, kind="text/plain"), "bad_request"),
}
"""Mode -> what the server answers, and the reason that the row must end with."""

HARMLESS: Mapping[str, Answer] = {
    "fenced": lambda asked: web.json_response(completion(asked, f"```json\n{texts(asked)}\n```")),
    "prose around": lambda asked: web.json_response(completion(asked, f"Sure! {texts(asked)} Anything else?")),
    "content in parts": lambda asked: web.json_response(completion(asked, [{"type": "text", "text": texts(asked)}])),
    "no usage": envelope(lambda reply: reply.pop("usage")),
    "usage of a wrong type": envelope(lambda reply: reply.update(usage="many")),
    "negative usage": envelope(lambda reply: reply["usage"].update(prompt_tokens=-5)),
    "extra fields": envelope(lambda reply: reply.update(x=[1, 2, {"y": None}])),
    "zero-width": four(long_positive="The image shows a \u200bk\u202eite."),
    "nul": four(long_positive="The image shows\u0000 a kite."),
}
"""Mode -> what the server answers, strange yet readable."""


def by_mode(asked: Asked) -> web.StreamResponse | None:
    """Answer as the alt-text names it."""
    modes = {**{name: answer for name, (answer, _) in HOSTILE.items()}, **HARMLESS}
    return next((answer(asked) for name, answer in modes.items() if f'"{name}"' in asked.text), None)


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    server = ChatServer(answer=by_mode)
    with serving(server) as uri:
        # A good one before: the first answer opens the window.
        replies = ask(uri, [request("good"), *map(request, [*HOSTILE, *HARMLESS])])
    return {name: reply for name, (_, reply) in replies.items()} | {"served": server.served}


def test_there_are_forty_modes_or_more() -> None:
    assert len(HOSTILE) >= 40


@pytest.mark.parametrize("mode", HOSTILE)
def test_a_hostile_reply_is_a_typed_failure(mode: str, found: dict[str, Any]) -> None:
    reply = found[mode]
    reason = reply.reason or parse_answer(reply.answer).reason
    assert reason == HOSTILE[mode][1]
    assert reason in REASONS
    assert reply.raw is not None
    reply.raw.encode()


@pytest.mark.parametrize("mode", ["good", *HARMLESS])
def test_a_strange_reply_that_can_be_read_is_an_answer(mode: str, found: dict[str, Any]) -> None:
    assert found[mode].reason is None
    assert parse_answer(found[mode].answer).reason is None


@pytest.mark.parametrize("mode", ["no json", "null content", "prose", "contradiction"])
def test_what_could_not_be_read_is_asked_for_once_more(mode: str, found: dict[str, Any]) -> None:
    assert found[mode].attempts == 2


@pytest.mark.parametrize("mode", ["good", "bad request", "refusal", "cut by length"])
def test_what_would_not_help_is_not_tried(mode: str, found: dict[str, Any]) -> None:
    assert found[mode].attempts == 1
