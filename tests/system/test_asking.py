"""Every answer is paid once and stands on its own row, whatever is killed, refused or changed on the way."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.caption.servers import Server, serving
from benchmarks.samples import add_samples
from jobs import describe_images, recaption_images
from lakehouse.lake import Lake
from lakehouse.outcome import Counts
from lakehouse.small_rows import read_rows
from schemas.ops import REJECTS, RUNS
from schemas.silver import DESCRIPTIONS, RECAPTIONS, RESPONSES, SAMPLES
from tests.system.said import ROOT, call
from tests.system.test_killed_runs import kill_once, wait_until

pytestmark = [pytest.mark.spark, pytest.mark.slow]

ROWS = 40


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that answers at once."""
    with serving(log=tmp_path / "served.jsonl") as made:
        yield made


@pytest.fixture
def slow_server(tmp_path: Path) -> Iterator[Server]:
    """A server that takes about a third of a second for an answer."""
    with serving(log=tmp_path / "served.jsonl", latency=0.3) as made:
        yield made


@pytest.fixture
def samples(lake: Lake) -> Lake:
    add_samples(lake, ROWS, image_bytes=5_000)
    return lake


def describe(lake: Lake, model: str, **flags: Any) -> Counts:
    config = describe_images.Config(lake=lake.root, model=model, **flags)
    return describe_images.JOB.run(lake, config)


def assert_each_row_has_its_own_answer(lake: Lake, *, rows: int = ROWS) -> None:
    images = {row["sample_id"]: row["image_id"] for row in read_rows(lake.root, SAMPLES)}
    described = read_rows(lake.root, DESCRIPTIONS)
    assert len(described) == rows
    assert all(row["long_positive"] == f"The image shows {images[row['sample_id']]}." for row in described)


def assert_nothing_was_paid_twice(lake: Lake, server: Server, *, in_flight: int) -> None:
    images = {row["sample_id"]: row["image_id"] for row in read_rows(lake.root, SAMPLES)}
    answers = [row for row in read_rows(lake.root, RESPONSES) if row["status"] == "answered"]
    assert len({row["request_key"] for row in answers}) == len(answers) == ROWS
    kept = {images[row["sample_id"]]: row["asked_at"].timestamp() for row in answers}
    again = [line for line in server.served() if line["began"] > kept[line["image"]]]
    assert again == []
    assert len(server.served()) <= ROWS + in_flight


def test_what_is_asked_is_what_is_not_answered_yet(
    samples: Lake, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a plan, over a budget, to changed texts and prompts: one lake and one server, requests counted."""
    plan = describe(samples, server.model, dry_run=True)
    assert (plan["requests_to_send"], len(server.served())) == (ROWS, 0)
    assert plan["tokens_at_most"] > ROWS * 512

    assert describe(samples, server.model, budget_tokens=10)["left_by_the_budget"] == ROWS
    assert "note: --budget-tokens has no room for a single request at its most: raise it" in capsys.readouterr().err

    stopped = describe(samples, server.model, budget_requests=15)
    assert "note: --budget-requests is used up: run again to go on from here" in capsys.readouterr().err
    assert (stopped["described"], stopped["left_by_the_budget"], len(server.served())) == (15, ROWS - 15, 15)

    assert describe(samples, server.model)["described"] == ROWS - 15
    assert_each_row_has_its_own_answer(samples)
    assert len(server.served()) == ROWS

    assert not describe(samples, server.model), "a second run asks nothing"

    add_samples(samples, 3, image_bytes=5_000, turn=1)
    assert describe(samples, server.model)["described"] == 3
    assert describe(samples, server.model, prompt="hqclip_teacher")["described"] == ROWS + 3
    describe(samples, server.model)  # back to the earlier prompt, which costs nothing
    assert len(server.served()) == 2 * (ROWS + 3)
    assert_each_row_has_its_own_answer(samples, rows=2 * (ROWS + 3))


def test_what_no_server_answered_is_asked_again_by_the_next_run(samples: Lake, server: Server) -> None:
    images = sorted(row["image_id"] for row in read_rows(samples.root, SAMPLES))
    ill = Path(f"{server.log}.ill")
    ill.write_text("\n".join(images[:2]))
    priced = f"{server.model}&usd_in=1&usd_out=2"
    assert describe(samples, priced, budget_usd=100)["missed_until_the_next_run"] == 2
    ill.unlink()
    assert describe(samples, priced)["described"] == 2
    assert_each_row_has_its_own_answer(samples)
    assert read_rows(samples.root, REJECTS) == []
    # What the answers cost is in the run log.
    paid = sum(row["cost_usd"] for row in read_rows(samples.root, RESPONSES))
    assert sum(row["cost_usd"] for row in read_rows(samples.root, RUNS)) == pytest.approx(paid)
    assert paid > 0


def test_a_killed_run_pays_for_no_answer_again(samples: Lake, slow_server: Server) -> None:
    flags = ("--lake", samples.root, "--model", slow_server.model, "--max-in-flight", 4)
    kill_once(lambda: len(slow_server.served()) >= 12, "describe_images", *flags)
    plan = describe(samples, slow_server.model, dry_run=True)
    before = len(slow_server.served())  # with those that were under way
    done = call(describe_images.JOB.main, *flags)
    assert done.code == 0, done.err
    assert "recovered" in done.out
    # What waits in the journal is known: a plan does not have it asked again.
    assert plan["requests_to_send"] == ROWS - plan["answered_already"] == len(slow_server.served()) - before
    assert_nothing_was_paid_twice(samples, slow_server, in_flight=4)
    assert_each_row_has_its_own_answer(samples)


def test_a_budget_pays_for_both_captions_of_fewer_samples(samples: Lake, server: Server, tmp_path: Path) -> None:
    def recaption(**flags: Any) -> Counts:
        config = recaption_images.Config(lake=samples.root, model=server.model, prompt=f"{tmp_path}/own.md", **flags)
        return recaption_images.JOB.run(samples, config)

    for kind in ("short", "long"):
        (tmp_path / f"own_{kind}.md").write_text(f"Write a {kind} caption.{{image}}Said of it: {{alt_text}}")
    stopped = recaption(budget_requests=15)
    assert (len(server.served()), stopped["rows"], stopped["left_by_the_budget"]) == (15, 7, 2 * ROWS - 15)
    assert recaption(budget_requests=10)["rows"] == 5, "the caption that was left alone is made a pair first"
    recaption()
    assert (len(server.served()), len(read_rows(samples.root, RECAPTIONS))) == (2 * ROWS, ROWS)


def test_a_run_that_is_stopped_by_hand_says_one_line(samples: Lake, slow_server: Server) -> None:
    command = [sys.executable, "-m", "jobs.describe_images", "--lake", samples.root, "--model", slow_server.model]
    flags = ["--max-in-flight", "4"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "start_new_session": True}
    with subprocess.Popen([*command, *flags], cwd=ROOT, **pipes) as run:  # type: ignore[call-overload]
        wait_until(lambda: len(slow_server.served()) >= 4 or run.poll() is not None, seconds=240)
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does
        said, _ = run.communicate(timeout=240)
    lines = [line for line in said.splitlines() if " answers/s" not in line]
    assert (run.returncode, lines) == (1, ["describe_images: stopped; run it again to go on from here"])


def undisturbed_by(what: Callable[[int], None], samples: Lake, server: Server) -> None:
    """Run the job, do ``what`` to it (its process is given) when a third is answered, and see that all ends well."""
    flags = ("--lake", samples.root, "--model", server.model, "--max-in-flight", "4")
    command = [sys.executable, "-m", "jobs.describe_images", *flags]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        wait_until(lambda: len(server.served()) >= ROWS // 3 or run.poll() is not None, seconds=240)
        what(run.pid)
        said, _ = run.communicate(timeout=240)
    assert run.returncode == 0, said
    assert_nothing_was_paid_twice(samples, server, in_flight=4)
    assert_each_row_has_its_own_answer(samples)


def kill_a_worker(run: int) -> None:
    workers = [one for one in psutil.Process(run).children(recursive=True) if "pyspark.daemon" in _command(one)]
    # The daemon is the oldest; those that it has forked do the work.
    os.kill(max(workers, key=lambda one: one.create_time()).pid, signal.SIGKILL)


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # one that has just ended has none
        return ""


def test_a_killed_worker_pays_for_no_answer_again(samples: Lake, slow_server: Server) -> None:
    undisturbed_by(kill_a_worker, samples, slow_server)
    assert len(slow_server.served()) > ROWS, "nothing was under way in what was killed"


def test_a_server_that_is_not_there_is_named_before_spark_starts(samples: Lake, server: Server) -> None:
    server.kill()
    error = call(describe_images.JOB.main, "--lake", samples.root, "--model", server.model).error
    assert error.startswith(f"error: no answer from http://127.0.0.1:{server.port}/v1: ")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--budget-usd", "0"), "bad --budget-usd 0.0: expected more than 0"),
        (("--max-in-flight", "0"), "bad --max-in-flight 0: expected more than 0"),
    ],
)
def test_a_limit_of_nothing_is_refused(flags: tuple[str, ...], said: str, lake: Lake) -> None:
    assert call(describe_images.JOB.main, "--lake", lake.root, *flags).refusal.endswith(said)


def test_a_budget_in_dollars_needs_a_price(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    add_samples(lake, 2, image_bytes=100)
    said = call(describe_images.JOB.main, "--lake", lake.root, "--model", "openai://gpt-9", "--budget-usd", "5").error
    assert (
        said == "error: no price is known for openai://gpt-9: name one, such as openai://gpt-9?usd_in=0.15&usd_out=0.6"
    )


def test_a_model_that_bills_nothing_takes_no_budget(lake: Lake) -> None:
    said = call(describe_images.JOB.main, "--lake", lake.root, "--budget-requests", "5").error
    assert said == (
        "error: --budget-requests has no meaning for rules://: it runs inside the tasks, where nothing is billed"
    )
