"""What a server, or the way to it, can do wrong, and what becomes of the requests."""

import asyncio
import io
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from errno import ENOSPC
from typing import Any

import pytest
from aiohttp import web

from benchmarks.chat_server import Asked, ChatServer, completion, refusal
from lakehouse.errors import BadInput, BudgetReached, ModelFailed, UnknownModel
from lakehouse.limits import Limits, Spend
from tests.chat import PNG, ask, request, serving
from tests.jobs.pictures import picture
from udfs.chat.reply import retry_after
from udfs.descriptions import parse_answer
from udfs.models import Reply, load

Answer = Callable[[Asked], web.StreamResponse | None]


def first(times: int, otherwise: Answer) -> Answer:
    """Answer the first ``times`` of each request with ``otherwise``, then as usual."""
    seen: Counter[str] = Counter()

    def answer(asked: Asked) -> web.StreamResponse | None:
        seen[asked.digest] += 1
        return otherwise(asked) if seen[asked.digest] <= times else None

    return answer


def names(count: int) -> list[str]:
    return [f"duck {number}" for number in range(count)]


def of_own_image(name: str, answer: str | None) -> bool:
    asked = request(name)
    return asked.image_id in (parse_answer(answer).long_positive or "")


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504])
def test_a_server_that_comes_round_answers_every_request(status: int) -> None:
    with serving(ChatServer(answer=first(2, lambda asked: refusal(status, "not now")))) as uri:
        replies = ask(uri, map(request, names(3)))
    assert {reply.attempts for _, reply in replies.values()} == {3}
    assert all(of_own_image(name, reply.answer) for name, (_, reply) in replies.items())


def test_a_request_that_a_server_fails_on_every_time_fails_alone() -> None:
    def poison(asked: Asked) -> web.Response | None:
        return refusal(500, "engine died") if '"poison"' in asked.text else None

    with serving(ChatServer(answer=poison)) as uri:
        replies = ask(uri, map(request, [*names(5), "poison"]))
    assert replies["poison"][1].status == "missed"
    assert replies["poison"][1].reason == "server_error"
    assert all(replies[name][1].reason is None for name in names(5))


def test_a_server_that_has_no_more_than_so_many_places_is_not_kept_refusing() -> None:
    server = ChatServer(latency=0.02, most=4)
    with serving(server) as uri:
        replies = ask(uri, map(request, names(200)), limits=Limits(in_flight=64))
    sent = sum(reply.attempts for _, reply in replies.values())
    assert all(reply.reason is None for _, reply in replies.values())
    assert sent < 2 * len(replies)


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_after_retry_after_no_request_comes_earlier(form: str) -> None:
    came: list[float] = []

    def answer(asked: Asked) -> web.Response | None:
        came.append(time.time())
        if len(came) != 3:
            return None
        moment = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
        return refusal(429, "slow down", **{"Retry-After": "1" if form == "seconds" else moment})

    with serving(ChatServer(answer=answer)) as uri:
        ask(uri, map(request, names(20)), limits=Limits(in_flight=1))
    assert len(came) == 21
    # A date has whole seconds: up to one less than two.
    assert came[3] - came[2] >= 0.95


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0.0), ("7.5", 7.5), ("-3", None), ("", None), ("1e9", None), ("99999", 600.0), ("Sat, 99 Foo", None)],
)
def test_a_strange_retry_after_is_no_reason_to_wait_for_ever(text: str, seconds: float | None) -> None:
    assert retry_after(text) == seconds


def test_a_date_that_has_passed_asks_for_no_wait() -> None:
    assert retry_after(format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)) is None


class DrippingServer(ChatServer):
    """Sends a byte now and then, and never the last."""

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._drip)
        return app

    async def _drip(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(600):
            await response.write(b" ")
            await asyncio.sleep(0.05)
        return response


def test_an_answer_that_trickles_meets_the_deadline_of_the_whole() -> None:
    began = time.monotonic()
    with serving(DrippingServer()) as uri:
        [(_, reply)] = ask(f"{uri}&deadline=1", [request("duck")]).values()
    assert (reply.status, reply.reason) == ("missed", "timed_out")
    assert time.monotonic() - began < 15  # of the 30 that the server would take


def test_a_server_that_never_answers_ends_the_run() -> None:
    with serving(DrippingServer()) as uri, pytest.raises(ModelFailed, match=r"no server has answered for 1 s"):
        ask(f"{uri}&deadline=1", map(request, names(20)))


def test_a_server_that_is_gone_ends_the_run_with_the_first_request() -> None:
    notes: list[Mapping[str, Any]] = []
    with pytest.raises(ModelFailed, match=r"no server has answered for 3 s; the last said: Cannot connect"):
        ask(f"{_gone()}&deadline=3", map(request, names(20)), note=notes.append)
    assert len({note["request_key"] for note in notes}) == 1


def _gone() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"openai+http://127.0.0.1:{free.getsockname()[1]}/v1?model=m"


def test_one_request_that_no_server_can_answer_is_missed_alone() -> None:
    class Stuck(ChatServer):
        def _delay(self, asked: Asked) -> float:
            return 6.0 if '"duck 7"' in asked.text else 0.05

    with serving(Stuck()) as uri:
        replies = ask(f"{uri}&deadline=1", map(request, names(60)))
    assert {name for name, (_, reply) in replies.items() if reply.reason is not None} == {"duck 7"}


def test_what_a_filter_says_of_one_request_ends_no_run() -> None:
    def filtered(asked: Asked) -> web.StreamResponse | None:
        return refusal(403, "blocked by policy") if '"duck 7"' in asked.text else None

    with serving(ChatServer(answer=filtered)) as uri:
        replies = ask(uri, map(request, names(20)))
    assert {name: reply.reason for name, (_, reply) in replies.items() if reply.reason} == {"duck 7": "bad_request"}


def test_a_server_that_asks_for_patience_is_not_asked_for_ever() -> None:
    server = ChatServer(answer=lambda asked: refusal(429, "later", **{"Retry-After": "0.01"}))
    with serving(server) as uri:
        [(_, reply)] = ask(uri, [request("duck")]).values()
    assert (reply.status, reply.reason, len(server.served)) == ("missed", "server_busy", 64)


@pytest.mark.parametrize("status", [401, 403, 404, 402, 302])
def test_what_is_wrong_with_every_request_ends_the_run_after_one(status: int) -> None:
    server = ChatServer(answer=lambda asked: refusal(status, "no"))
    with serving(server) as uri, pytest.raises(ModelFailed, match=str(status)):
        ask(uri, map(request, names(50)))
    assert len(server.served) == 1


def test_a_model_that_cannot_see_ends_the_run() -> None:
    server = ChatServer(answer=lambda asked: refusal(500, "image input is not supported - hint: mmproj"))
    with serving(server) as uri, pytest.raises(ModelFailed, match="the model cannot see images: image input is not"):
        ask(uri, map(request, names(50)))


def test_a_server_that_nobody_runs_is_named_within_seconds() -> None:
    with pytest.raises(ModelFailed, match=r"no answer from http://127.0.0.1:\d+/v1: .*refused"):
        load(_gone()).check()


def test_a_wrong_key_is_found_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    server = ChatServer(key="right")
    monkeypatch.setenv("OPENAI_API_KEY", "wrong")
    with serving(server) as uri, pytest.raises(ModelFailed, match=r"refuses the key \(401\): Incorrect API key"):
        load(uri).check()
    assert server.served == []


def test_the_right_key_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "right")
    with serving(ChatServer(key="right")) as uri:
        load(f"{uri}&key_env=MY_KEY").check()
        assert ask(f"{uri}&key_env=MY_KEY", [request("duck")])["duck"][1].reason is None


def test_a_model_that_the_server_has_not_is_answered_with_those_it_has() -> None:
    with serving(ChatServer(model="qwen2-vl")) as uri, pytest.raises(ModelFailed, match=r"did you mean 'qwen2-vl'\?"):
        load(uri.replace("qwen2-vl", "qwen2_vl")).check()


def test_openai_without_a_key_says_where_to_put_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(BadInput, match="set OPENAI_API_KEY in the environment"):
        load("openai://gpt-4o-mini").check()


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("openai+http://h:1/v1", r"expected openai\+http://HOST:PORT/v1\?model=MODEL"),
        ("openai+http://?model=m", r"expected openai\+http://HOST:PORT"),
        ("openai://", "expected openai://MODEL"),
        ("openai://m?temprature=1", r"unknown setting 'temprature' .*did you mean temperature\?"),
        ("openai://m?temperature=hot", "bad temperature=hot .*expected default, or a number from 0 to 2"),
        ("openai://m?max_tokens=0", "bad max_tokens=0 .*expected a whole number over 0"),
        ("openai://m?structured=yaml", "expected one of json_schema, json_object, off"),
    ],
)
def test_a_uri_that_cannot_be_meant_is_refused(uri: str, message: str) -> None:
    with pytest.raises(UnknownModel, match=message):
        load(uri)


def test_moving_a_server_changes_nothing_that_a_key_is_made_of() -> None:
    here, there = (load(f"openai+http://{host}/v1?model=m&temperature=0.5") for host in ("a:1", "b:2,c:3"))
    assert here.identity == there.identity
    assert here.identity != load("openai+http://a:1/v1?model=m&temperature=0.6").identity


def test_prompts_on_one_image_meet_the_same_replica() -> None:
    one, other = ChatServer(), ChatServer()
    with serving(one) as first_uri, serving(other) as second_uri:
        host = second_uri.partition("://")[2].partition("/")[0]
        uri = first_uri.replace("/v1", f",{host}/v1", 1)
        images = [PNG + bytes([number]) for number in range(20)]
        for turn in ("short", "long"):
            ask(uri, [request(f"{turn} {number}", image=image) for number, image in enumerate(images)])
    met = [{line["image"] for line in server.served} for server in (one, other)]
    assert not met[0] & met[1]
    assert min(map(len, met)) > 2


def test_a_replica_that_dies_leaves_its_images_to_the_others() -> None:
    living = ChatServer()
    with socket.socket() as free, serving(living) as uri:
        free.bind(("127.0.0.1", 0))
        dead = f"127.0.0.1:{free.getsockname()[1]}"
        replies = ask(uri.replace("/v1", f",{dead}/v1", 1), map(request, names(40)))
    assert all(reply.reason is None for _, reply in replies.values())
    assert len(living.served) == 40


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        (Limits(budget_requests=7), "--budget-requests"),
        (Limits(budget_tokens=30_000), "--budget-tokens"),
        (Limits(budget_usd=0.05), "--budget-usd"),
    ],
)
def test_a_budget_is_never_exceeded(limits: Limits, name: str) -> None:
    kept: list[Reply] = []
    server = ChatServer()
    with serving(server) as uri, pytest.raises(BudgetReached, match=name):
        ask(
            f"{uri}&usd_in=1&usd_out=10",
            map(request, names(5000)),
            limits=limits,
            record=lambda asked, reply: kept.append(reply),
        )
    assert len(kept) == len(server.served) > 1
    tokens = sum((reply.input_tokens or 0) + (reply.output_tokens or 0) for reply in kept)
    spent = Spend(len(kept), tokens, sum(reply.cost_usd for reply in kept))
    assert limits.exceeded_by(spent) is None
    # Nor is much of it left: the next request could have cost more than was there.
    assert limits.exceeded_by(spent.plus(Spend(1, 4_000, 0.01)))


@pytest.mark.parametrize("kind", ["intent", "answer"])
def test_a_journal_that_takes_nothing_more_ends_the_run(kind: str) -> None:
    kept: Counter[str] = Counter()

    def keep(what: str) -> None:
        kept[what] += 1
        if what == kind and kept[what] > 1:  # the first request goes alone
            raise OSError(ENOSPC, "No space left on device")

    server = ChatServer(latency=0.02)
    journal = {"note": lambda note: keep(note["kind"]), "record": lambda request, reply: keep("answer")}
    # Others wait for what the second has reserved.
    limits = Limits(in_flight=4, budget_requests=3)
    with serving(server) as uri, pytest.raises(OSError, match="No space left on device"):
        ask(uri, map(request, names(30)), limits=limits, **journal)
    assert len(server.served) <= 3


def test_a_server_that_counts_more_than_it_may_is_left_at_once() -> None:
    server = ChatServer(answer=lambda asked: web.json_response(completion(asked, completion_tokens=10**9)))
    with serving(server) as uri, pytest.raises(ModelFailed, match="does not keep to max_tokens"):
        ask(uri, map(request, names(100)))
    assert len(server.served) == 1


def test_the_rate_of_requests_is_kept() -> None:
    server = ChatServer()
    began = time.monotonic()
    with serving(server) as uri:
        ask(uri, map(request, names(25)), limits=Limits(in_flight=8, requests_per_minute=600))
    # A burst of one second's worth goes at once: 10 of 25.
    assert time.monotonic() - began >= 1.4
    moments = sorted(line["began"] for line in server.served)
    assert all(later - earlier >= 0.9 for earlier, later in zip(moments, moments[21:], strict=False))


def test_an_image_over_the_pixel_budget_is_sent_smaller_than_it_came() -> None:
    buffer = io.BytesIO()
    picture(1).save(buffer, "PNG")
    server = ChatServer()
    asked = request("wide", image=buffer.getvalue())
    with serving(server) as uri:
        sized = replace(asked, width=96, height=80)
        ask(f"{uri}&max_pixels=1000", [sized])
        ask(f"{uri}&max_pixels=7680", [sized])
    assert server.served[0]["image"] != asked.image_id
    assert server.served[1]["image"] == asked.image_id


def test_bytes_that_are_no_image_are_not_sent() -> None:
    server = ChatServer()
    with serving(server) as uri:
        replies = ask(uri, [request("duck", image=b"hello")])
    assert replies["duck"][1].reason == "not_an_image"
    assert server.served == []
