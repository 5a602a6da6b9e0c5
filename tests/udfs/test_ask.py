"""Answers and their journal, without Spark: kills at any moment, and a try after them that pays for nothing twice."""

import json
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from benchmarks.chat_server import ChatServer
from lakehouse.governor import Governor
from lakehouse.journal import journal_files, open_journal, read_records
from lakehouse.limits import Limits
from tests.chat import PNG, serving, soon
from udfs.ask import ANSWER_SCHEMA, Question, ask, read_journal
from udfs.descriptions import parse_answer

ROWS = 120
IN_FLIGHT = 6
ROOT = Path(__file__).parents[2]

# What a task of a run does, in a process that can be killed.
TASK = """
import sys
from tests.udfs.test_ask import answers
answers(sys.argv[1], sys.argv[2])
"""


def batches() -> Iterator[pa.RecordBatch]:
    """Yield the requests, seven a batch."""
    for first in range(0, ROWS, 7):
        rows = [_row(number) for number in range(first, min(first + 7, ROWS))]
        yield pa.RecordBatch.from_pylist(rows)


def _row(number: int) -> dict[str, Any]:
    ids = {name: f"{name}-{number:03}" for name in ("request_key", "sample_id", "image_id")}
    said = {"alt_text": f"duck {number}", "web_tags": ["duck"], "colours": ["red"]}
    return {**ids, **said, "width": 10, "height": 10, "image": PNG + str(number).encode()}


def answers(model: str, journal: str) -> dict[str, str | None]:
    """Return the answer to each request, by its key, as one task gets them."""
    with Governor(Limits(in_flight=IN_FLIGHT)) as governor:
        question = Question(
            model=model, prompt="Describe it.{image}", task="describe", journal=journal, limits=governor.address
        )
        rows = pa.Table.from_batches(ask(batches(), question), schema=ANSWER_SCHEMA).to_pylist()
        assert soon(lambda: governor.answered == ROWS), "every answer is counted, for those who watch"
    assert len({row["request_key"] for row in rows}) == len(rows) == ROWS
    return {row["request_key"]: row["answer"] for row in rows}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    with serving(ChatServer()) as model:
        return answers(model, str(tmp_path_factory.mktemp("journal")))


def test_no_answer_comes_to_another_row(undisturbed: dict[str, str | None]) -> None:
    shown = [parse_answer(answer).long_positive for answer in undisturbed.values()]
    assert len(set(shown)) == ROWS


@pytest.mark.parametrize("seed", range(3))
def test_a_task_killed_at_any_moment_pays_for_no_answer_again(
    seed: int, undisturbed: dict[str, str | None], tmp_path: Path
) -> None:
    draw, journal, kills = random.Random(seed), str(tmp_path / "journal"), 0
    server = ChatServer(latency=0.02)
    with serving(server) as model:
        for _ in range(3):
            with subprocess.Popen([sys.executable, "-c", TASK, model, journal], cwd=ROOT) as task:
                already = len(server.served)
                while task.poll() is None and len(server.served) < already + draw.randint(5, 40):
                    time.sleep(0.001)
                kills += task.poll() is None
                task.send_signal(signal.SIGKILL)
        assert answers(model, journal) == undisturbed
    kept = {record["request_key"]: record for record in _answers_in(journal)}
    assert len(server.served) <= ROWS + kills * IN_FLIGHT
    assert len(kept) == ROWS


def test_what_is_in_the_journal_is_not_asked(undisturbed: dict[str, str | None], tmp_path: Path) -> None:
    server = ChatServer()
    with serving(server) as model:
        first = answers(model, str(tmp_path))
        assert answers(model, str(tmp_path)) == first == undisturbed
    assert len(server.served) == ROWS


def test_the_journal_is_read_as_the_ledger_takes_it(undisturbed: dict[str, str | None], tmp_path: Path) -> None:
    with serving(ChatServer()) as model:
        answers(model, str(tmp_path))
    rows = pa.Table.from_batches(read_journal(journal_files(str(tmp_path))), schema=ANSWER_SCHEMA).to_pylist()
    assert {row["request_key"]: row["answer"] for row in rows} == undisturbed


def test_a_second_question_is_not_preceded_by_the_first_again(tmp_path: Path) -> None:
    """The first answer was paid for and noted before the kill: only the second question is left to ask."""
    server = ChatServer()
    paid = {"attempts": 1, "input_tokens": 10, "output_tokens": 5, "cost_usd": 0.25}
    note = {"kind": "unreadable", "request_key": "request_key-000", "answer": "oops", "complaint": "no object", **paid}
    journal = open_journal(str(tmp_path))
    journal.write(note)
    journal.close()
    with serving(server) as model:
        answers(model, str(tmp_path))
    assert len(server.served) == ROWS
    [record] = [one for one in _answers_in(str(tmp_path)) if one["request_key"] == "request_key-000"]
    assert (record["attempts"], record["cost_usd"]) == (2, 0.25)
    assert record["input_tokens"] > 10


def test_a_server_that_dies_for_a_while_is_waited_for(undisturbed: dict[str, str | None], tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "served.jsonl"
    flags = ["--port", str(port), "--log", str(log), "--latency", "0.05"]
    command = [sys.executable, "-m", "benchmarks.chat_server", *flags]
    first = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    first.stdout.readline()
    flags = [f"openai+http://127.0.0.1:{port}/v1?model=tiny&deadline=60", str(tmp_path / "journal")]
    with subprocess.Popen([sys.executable, "-c", TASK, *flags], cwd=ROOT) as task:
        while not log.exists() or len(log.read_text().splitlines()) < ROWS // 3:
            assert task.poll() is None
            time.sleep(0.005)
        first.kill()
        first.wait()
        second = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            assert task.wait(60) == 0
        finally:
            second.kill()
            second.wait()
    assert {record["request_key"]: record["answer"] for record in _answers_in(flags[1])} == undisturbed
    served = [line for line in map(json.loads, log.read_text().splitlines()) if line["status"] == 200]
    assert len(served) <= ROWS + IN_FLIGHT


def _answers_in(journal: str) -> list[dict[str, Any]]:
    return [record for record in read_records(journal_files(journal)) if record["kind"] == "answer"]
