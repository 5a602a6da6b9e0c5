"""Answers are counted for whoever watches a run, and nothing hangs on the counting."""

import json
import re
import socket

import pytest

from lakehouse.answer_counter import AnswerCounter
from lakehouse.governor import Address, Governor
from lakehouse.limits import Limits
from lakehouse.progress import watch
from tests.chat import soon


def test_what_tasks_count_is_added_up_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    with Governor(Limits()) as governor, watch("describe", governor, every=0.05) as progress:
        progress.total = 10
        for count in (2, 3):
            with AnswerCounter(governor.address) as counter:
                counter.add(count)
        assert soon(lambda: progress.rows == 5)
    assert "describe: 5 of 10 answers, " in capsys.readouterr().err


def test_what_came_of_a_short_run_is_said_at_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    with Governor(Limits(budget_usd=1.5)) as governor, watch("describe", governor, every=60):
        with AnswerCounter(governor.address) as counter:
            counter.add(2)
        assert soon(lambda: governor.answered == 2)
    assert re.fullmatch(r"describe: 2 answers, [\d,]+ answers/s, \$0\.00 of \$1\.50 so far\n", capsys.readouterr().err)


def test_who_counts_takes_no_share_of_the_window() -> None:
    with Governor(Limits(in_flight=8)) as governor, AnswerCounter(governor.address) as counter:
        counter.add(1)
        assert soon(lambda: governor.answered == 1)
        assert _told(governor.address)["window"] == 8


def _told(address: Address) -> dict[str, int]:
    with socket.create_connection(address[:2], timeout=10) as task:
        task.sendall(f"{address.secret}\n".encode())
        told: dict[str, int] = json.loads(task.makefile("rb").readline())
    return told


def test_a_run_that_has_ended_is_no_trouble_to_its_tasks(capfd: pytest.CaptureFixture[str]) -> None:
    governor = Governor(Limits())
    with governor:
        counter = AnswerCounter(governor.address)
        counter.__enter__()
        counter.add(1)
        assert soon(lambda: governor.answered == 1)
        address = governor.address
    counter.add(1)
    counter.add(1)
    counter.__exit__()
    with AnswerCounter(address) as late:
        late.add(1)
    assert (governor.answered, capfd.readouterr().err) == (1, "")


def test_without_an_address_nothing_is_counted() -> None:
    with AnswerCounter(None) as counter:
        counter.add(1)
    with Governor(Limits()) as governor:
        assert governor.answered == 0


def test_who_does_not_know_the_secret_counts_nothing() -> None:
    with Governor(Limits()) as governor:
        with AnswerCounter(governor.address._replace(secret="guessed")) as counter:
            counter.add(1)
        with AnswerCounter(governor.address) as counter:
            counter.add(1)
        assert soon(lambda: governor.answered == 1)
