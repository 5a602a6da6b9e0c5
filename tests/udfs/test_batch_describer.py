"""By batch, every request is worked on once and answered under its own key, whatever the server or a kill does."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from benchmarks.batch_server import BatchServer
from benchmarks.chat_server import ChatServer, refusal
from lakehouse.errors import BudgetReached, ModelFailed, UnknownModel
from lakehouse.journal import journal_files, open_journal, read_records
from lakehouse.limits import Limits
from lakehouse.under_way import open_notes
from tests.udfs.batches import asked, is_about, key_of, served
from udfs.batch.settings import read_batch_settings
from udfs.chat.settings import read_settings
from udfs.models import load

ROWS = range(5)
KEYS = [key_of(number) for number in ROWS]


@pytest.fixture
def server() -> BatchServer:
    return BatchServer()


@pytest.fixture
def model(server: BatchServer) -> Iterator[str]:
    with served(server.app()) as place:
        yield f"openai+batch+http://{place}/v1?model=tiny&poll=0.05"


def statuses(rows: dict[str, dict[str, Any]]) -> list[str]:
    return [rows[key]["status"] for key in KEYS]


def test_answers_find_their_requests_in_any_order(server: BatchServer, model: str, tmp_path: Path) -> None:
    rows = asked(model, tmp_path, ROWS)
    assert all(is_about(rows[key_of(number)], number) for number in ROWS)
    assert dict(server.worked_on) == dict.fromkeys(KEYS, 1)


def sizes(server: BatchServer) -> list[int]:
    """Return how many requests each batch has."""
    return [len(server.files[batch["input_file_id"]].splitlines()) for batch in server.batches.values()]


def test_a_file_ends_at_its_most_lines(server: BatchServer, model: str, tmp_path: Path) -> None:
    assert statuses(asked(f"{model}&file_lines=2", tmp_path, ROWS)) == ["answered"] * 5
    assert sizes(server) == [2, 2, 1]


def test_a_file_ends_at_its_most_bytes(server: BatchServer, model: str, tmp_path: Path) -> None:
    asked(model, tmp_path / "whole", ROWS)
    most = len(server.files["file-0"]) - 1
    server.batches.clear()
    assert statuses(asked(f"{model}&file_mb={most / 1e6}", tmp_path / "cut", ROWS)) == ["answered"] * 5
    assert sizes(server) == [4, 1]


def test_a_line_that_is_missing_is_asked_again_in_the_next_run(server: BatchServer, model: str, tmp_path: Path) -> None:
    server.drops = {KEYS[1]}
    row = asked(model, tmp_path, ROWS)[KEYS[1]]
    assert (row["status"], row["reason"], row["detail"]) == ("missed", "left_out", "the batch is completed")


def test_a_line_in_the_error_file_is_a_failure_with_its_reason(server: BatchServer, model: str, tmp_path: Path) -> None:
    server.refuses = {KEYS[2]}
    rows = asked(model, tmp_path, ROWS)
    assert statuses(rows) == ["answered", "answered", "failed", "answered", "answered"]
    assert (rows[KEYS[2]]["reason"], rows[KEYS[2]]["detail"]) == ("bad_request", "400: Invalid image data")


def test_of_two_lines_on_one_request_the_first_counts(
    server: BatchServer, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.doubles = {KEYS[3]}
    assert is_about(asked(model, tmp_path, ROWS)[KEYS[3]], 3)
    assert "note: lines of batch batch_0 were passed over: 1 doubled\n" in capsys.readouterr().err


def test_lines_about_nothing_that_was_asked_are_passed_over(
    server: BatchServer, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.stray_lines = (b'{"custom_id": "other", "response": null}\n', b"[]\n", b"<html>\n", b'{"custom_id": 5}\n')
    assert statuses(asked(model, tmp_path, ROWS)) == ["answered"] * 5
    assert "passed over: 4 unknown\n" in capsys.readouterr().err


@pytest.mark.parametrize("end", ["expired", "cancelled"])
def test_a_batch_that_ends_early_keeps_what_was_answered(
    server: BatchServer, model: str, tmp_path: Path, end: str
) -> None:
    server.ends_as, server.works = end, 2
    rows = asked(model, tmp_path, ROWS)
    assert statuses(rows) == ["answered", "answered", "missed", "missed", "missed"]
    assert {rows[key]["reason"] for key in KEYS[2:]} == {"left_out"}


def test_a_batch_that_was_turned_down_says_why(server: BatchServer, model: str, tmp_path: Path) -> None:
    server.ends_as, server.fails_with = "failed", "invalid_json_line"
    rows = asked(model, tmp_path, ROWS)
    said = {(row["status"], row["reason"], row["detail"]) for row in rows.values()}
    assert said == {("missed", "left_out", "the batch is failed: too many")}
    assert not server.worked_on


def test_a_full_queue_is_waited_for(server: BatchServer, model: str, tmp_path: Path) -> None:
    server.queue, server.delay = 2, 0.3
    assert statuses(asked(f"{model}&file_lines=1", tmp_path, ROWS)) == ["answered"] * 5
    ends = [batch["status"] for batch in server.batches.values()]
    assert (ends.count("completed"), ends.count("failed") >= 3) == (5, True)
    assert set(server.worked_on.values()) == {1}
    assert len(server.files) == 5 + 5, "what could not be begun was not uploaded again"


def test_a_queue_that_another_task_fills_is_waited_for(server: BatchServer, model: str, tmp_path: Path) -> None:
    server.queue, server.delay = 3, 0.5
    with ThreadPoolExecutor(2) as tasks:
        parts = [range(3), range(3, 5)]
        found = tasks.map(lambda part: asked(model, tmp_path / str(part.start), part), parts)
        rows = {key: row for part in found for key, row in part.items()}
    assert statuses(rows) == ["answered"] * 5
    assert "failed" in {batch["status"] for batch in server.batches.values()}


def test_a_batch_that_alone_is_over_the_limit_says_what_helps(server: BatchServer, model: str, tmp_path: Path) -> None:
    server.queue = 4
    details = {row["detail"] for row in asked(model, tmp_path, ROWS).values()}
    assert details == {
        "the batch is failed: too many: it alone is more than may wait, file_lines=N in the URI makes smaller ones"
    }
    assert len(server.batches) == 1 + 3


def test_what_met_a_full_queue_before_a_kill_is_asked_in_the_next_run(
    server: BatchServer, model: str, tmp_path: Path
) -> None:
    server.queue, server.delay = 2, 0.2
    server.before = lambda step: refusal(401, "gone") if step == "retrieve" and _has_failed(server) else None
    with pytest.raises(ModelFailed, match="gone"):
        asked(f"{model}&file_lines=1", tmp_path, ROWS)
    server.before = lambda step: None
    assert statuses(asked(f"{model}&file_lines=1", tmp_path, ROWS)) == ["answered"] * 5
    assert set(server.worked_on.values()) == {1}


def _has_failed(server: BatchServer) -> bool:
    return any(batch["status"] == "failed" for batch in server.batches.values())


def test_nothing_is_left_at_the_server(server: BatchServer, model: str, tmp_path: Path) -> None:
    server.refuses = {KEYS[2]}
    asked(f"{model}&file_lines=2", tmp_path, ROWS)
    assert len(server.files) == 3 + 3 + 1
    assert server.deleted == server.files.keys()


def test_what_does_not_add_up_stays_at_the_server(server: BatchServer, model: str, tmp_path: Path) -> None:
    server.drops = {KEYS[1]}
    asked(model, tmp_path, ROWS)
    assert not server.deleted


@pytest.mark.parametrize("said", [web.Response(content_type="application/json"), web.Response(status=500)])
def test_a_file_that_cannot_be_deleted_does_no_harm(
    server: BatchServer, model: str, tmp_path: Path, said: web.Response
) -> None:
    server.before = lambda step: (
        web.Response(status=said.status, content_type=said.content_type) if step == "delete" else None
    )
    assert statuses(asked(model, tmp_path, ROWS)) == ["answered"] * 5


def test_a_batch_that_takes_too_long_is_cancelled(server: BatchServer, model: str, tmp_path: Path) -> None:
    server.ends_as, server.works = "never", 3
    assert statuses(asked(f"{model}&deadline=0.0003", tmp_path, ROWS)).count("answered") == 3


def test_a_batch_that_cannot_be_cancelled_is_left_to_the_next_run(
    server: BatchServer, model: str, tmp_path: Path
) -> None:
    server.ends_as = "never"
    server.before = lambda step: refusal(500, "not now") if step == "cancel" else None
    with pytest.raises(ModelFailed, match=r"batch batch_0 is in_progress after .* h: run again to wait on for it"):
        asked(f"{model}&deadline=0.0003", tmp_path, ROWS)
    server.before = lambda step: None
    assert statuses(asked(f"{model}&deadline=0.0006", tmp_path, ROWS)) == ["answered"] * 5
    assert set(server.worked_on.values()) == {1}


def test_a_budget_without_room_for_one_request_uploads_nothing(server: BatchServer, model: str, tmp_path: Path) -> None:
    with pytest.raises(BudgetReached, match="--budget-usd"):
        asked(f"{model}&usd_in=1000&usd_out=0", tmp_path, ROWS, Limits(budget_usd=0.01))
    assert server.files == {}


def test_a_budget_is_used_up_before_it_ends_the_asking(server: BatchServer, model: str, tmp_path: Path) -> None:
    with pytest.raises(BudgetReached, match="--budget-requests"):
        asked(model, tmp_path, ROWS, Limits(budget_requests=2))
    assert (sizes(server), dict(server.worked_on)) == ([2], dict.fromkeys(KEYS[:2], 1))
    assert statuses(asked(model, tmp_path, ROWS)) == ["answered"] * 5
    assert sizes(server) == [2, 3]


def test_what_is_reserved_and_not_used_is_given_back(server: BatchServer, model: str, tmp_path: Path) -> None:
    """A request may cost ten times what it does; each file is answered before the next finds room."""
    rows = asked(f"{model}&usd_in=0&usd_out=1000&file_lines=1", tmp_path, ROWS, Limits(budget_usd=0.52 + 4 * 0.08))
    assert sizes(server) == [1] * 5
    assert sum(row["cost_usd"] for row in rows.values()) == pytest.approx(5 * 0.08)


Hook = Callable[[str], web.StreamResponse | None]


def once(step: str, act: Callable[[], web.StreamResponse | None], *, nth: int = 1) -> Hook:
    """Return a hook that acts at the nth time of ``step``, and at no other."""
    seen = []

    def hook(name: str) -> web.StreamResponse | None:
        seen.extend([name] if name == step else [])
        return act() if name == step and len(seen) == nth else None

    return hook


@pytest.mark.parametrize("step", ["upload", "create", "retrieve", "content"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_call_whose_answer_is_lost_is_not_paid_twice(
    server: BatchServer, model: str, tmp_path: Path, moment: str, step: str
) -> None:
    setattr(server, moment, once(step, lambda: refusal(502, "bad gateway")))
    assert statuses(asked(model, tmp_path, ROWS)) == ["answered"] * 5
    assert dict(server.worked_on) == dict.fromkeys(KEYS, 1)


@pytest.mark.parametrize("text", ["<html>", "null", "[]", "{}", '{"id": 5}', '"id"'])
@pytest.mark.parametrize("step", ["upload", "create", "retrieve"])
def test_an_answer_that_is_none_of_the_api_is_no_answer(
    server: BatchServer, model: str, tmp_path: Path, step: str, text: str
) -> None:
    server.after = once(step, lambda: web.Response(text=text, content_type="application/json"))
    assert statuses(asked(model, tmp_path, ROWS)) == ["answered"] * 5
    assert dict(server.worked_on) == dict.fromkeys(KEYS, 1)


def killed(server: BatchServer, model: str, journal: Path, moment: str, step: str, nth: int) -> None:
    """Ask in a process that dies before or after the nth time that the server makes ``step``."""
    server.delay = 0.3  # time to be killed in, while it waits
    command = [sys.executable, "-m", "tests.udfs.batches", model, str(journal), str(len(ROWS))]
    process = subprocess.Popen(command)

    def kill() -> web.StreamResponse | None:
        process.kill()
        return refusal(503, "nobody is there to read it")

    setattr(server, moment, once(step, kill, nth=nth))
    assert process.wait(60) == -signal.SIGKILL


KILLS = [
    ("after", "upload", 2),  # the file is there, nothing is noted
    ("before", "create", 2),  # noted, and no batch was made
    ("after", "create", 2),  # the batch was made, and its number not noted
    ("before", "retrieve", 1),  # all is noted
    ("after", "retrieve", 5),  # in the midst of waiting
    ("before", "content", 2),  # some answers are in the journal
    ("after", "content", 3),
]


@pytest.mark.parametrize(("moment", "step", "nth"), KILLS)
def test_no_kill_makes_the_server_work_on_a_request_twice(
    server: BatchServer, model: str, tmp_path: Path, moment: str, step: str, nth: int
) -> None:
    model += "&file_lines=2"
    killed(server, model, tmp_path, moment, step, nth)
    rows = asked(model, tmp_path, ROWS)
    assert all(is_about(rows[key_of(number)], number) for number in ROWS)
    assert dict(server.worked_on) == dict.fromkeys(KEYS, 1)


def carried_over(journal: Path, to: Path) -> set[str]:
    """Write anew what is under way, as the ledger does once it has the answers; return the keys of those."""
    files = journal_files(str(journal))
    kept = open_journal(str(to))
    for note in open_notes(files):
        kept.write(note)
    kept.close()
    return {record["request_key"] for record in read_records(files) if record["kind"] == "answer"}


@pytest.mark.parametrize(("moment", "step", "nth"), [KILLS[2], KILLS[5]])
def test_what_is_under_way_outlives_the_journal_that_it_stood_in(
    server: BatchServer, model: str, tmp_path: Path, moment: str, step: str, nth: int
) -> None:
    model += "&file_lines=2"
    killed(server, model, tmp_path / "first", moment, step, nth)
    answered = carried_over(tmp_path / "first", tmp_path / "second")
    assert answered.isdisjoint(carried_over(tmp_path / "second", tmp_path / "third"))
    left = [number for number in ROWS if key_of(number) not in answered]
    rows = asked(model, tmp_path / "third", left)
    assert all(is_about(rows[key_of(number)], number) for number in left)
    assert dict(server.worked_on) == dict.fromkeys(KEYS, 1)


def test_a_batch_whose_requests_are_now_of_several_tasks_is_shared_by_them(
    server: BatchServer, model: str, tmp_path: Path
) -> None:
    killed(server, model, tmp_path, "before", "retrieve", 1)
    with ThreadPoolExecutor(2) as pool:
        tasks = [pool.submit(asked, model, tmp_path, numbers) for numbers in ([0, 3], [1, 2, 4])]
        rows = {key: row for task in tasks for key, row in task.result().items()}
    assert all(is_about(rows[key_of(number)], number) for number in ROWS)
    assert (len(server.batches), dict(server.worked_on)) == (1, dict.fromkeys(KEYS, 1))


def test_what_was_answered_is_under_way_no_more(server: BatchServer, model: str, tmp_path: Path) -> None:
    server.drops = {KEYS[0]}
    asked(model, tmp_path, ROWS)
    assert open_notes(journal_files(str(tmp_path))) == []


def test_requests_in_a_batch_elsewhere_are_not_asked_here(model: str, server: BatchServer, tmp_path: Path) -> None:
    killed(server, model, tmp_path, "before", "retrieve", 1)
    with (
        served(BatchServer().app()) as other,
        pytest.raises(ModelFailed, match=r"requests are in a batch at .*: go on there"),
    ):
        asked(f"openai+batch+http://{other}/v1?model=tiny", tmp_path, ROWS)


def test_requests_in_a_batch_are_not_asked_one_by_one(server: BatchServer, model: str, tmp_path: Path) -> None:
    killed(server, model, tmp_path, "before", "retrieve", 1)
    live = model.replace("+batch", "").replace("&poll=0.05", "")
    with pytest.raises(ModelFailed, match=r"let an openai\+batch model wait for it first"):
        asked(live, tmp_path, [6, 7, *ROWS])
    assert [is_about(asked(live, tmp_path, [number])[key_of(number)], number) for number in (6, 7)] == [True, True]
    assert len(server.chat.served) == 2


def test_the_server_is_checked_before_anything_is_sent(server: BatchServer, model: str) -> None:
    load(model).check()
    with pytest.raises(ModelFailed, match="has no model 'tony': did you mean 'tiny'"):
        load(model.replace("tiny", "tony")).check()
    with served(ChatServer().app()) as place, pytest.raises(ModelFailed, match="404"):
        load(f"openai+batch+http://{place}/v1?model=tiny").check()
    assert server.files == {}


def test_half_the_list_price_is_paid() -> None:
    live, batch = read_settings("openai", "gpt-4o-mini"), read_batch_settings("openai+batch", "gpt-4o-mini").chat
    assert live.price is not None
    assert batch.price == live.price._replace(read=live.price.read / 2, written=live.price.written / 2)


@pytest.mark.parametrize("rest", ["gpt-4o", "gpt-4o?temperature=1&max_tokens=9&poll=5&deadline=3&file_lines=2"])
def test_how_a_model_is_asked_is_no_part_of_who_answers(rest: str) -> None:
    live = rest.replace("&poll=5&deadline=3&file_lines=2", "")
    assert load(f"openai+batch://{rest}").identity == load(f"openai://{live}").identity


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("openai+batch://", "unknown model 'openai[+]batch://': expected openai[+]batch://MODEL"),
        ("openai+batch+http://a/v1", "expected openai[+]batch[+]http://HOST:PORT/v1[?]model=MODEL"),
        ("openai+batch+http://a,b/v1?model=m", "2 servers in .*: expected one, which keeps batches"),
        ("openai+batch://m?file_line=3", "unknown setting 'file_line' .*: did you mean file_lines[?]"),
        ("openai+batch://m?file_mb=201", "bad file_mb=201 in .*: expected a number over 0, up to 200"),
        ("openai://m?poll=3", "unknown setting 'poll'"),
    ],
)
def test_a_uri_that_cannot_be_meant_says_what_can(uri: str, message: str) -> None:
    with pytest.raises(UnknownModel, match=message):
        load(uri)
