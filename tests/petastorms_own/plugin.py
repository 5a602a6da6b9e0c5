"""A pytest plugin under which petastorm's own tests run through the bridge; it counts what came out."""

import inspect
import json
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.petastorms_own.known import KNOWN_FAILURES, MAY_FAIL, NOT_COLLECTED

LIMIT_S = 400
"""How long a test may take, so that one that hangs is one that fails."""
OUTCOMES = ("passed", "failed", "known_failure", "unexpected_pass", "needs_tensorflow", "skipped")


class Tally:
    """What came out of each test."""

    def __init__(self) -> None:
        self.of: dict[str, str] = {}

    def add(self, node: str, outcome: str) -> None:
        """Count a test once; what went wrong later, as it was cleaned up, counts more."""
        if self.of.get(node) in (None, "passed"):
            self.of[node] = outcome

    def by_module(self) -> dict[str, dict[str, int]]:
        """Return the counts of each module."""
        counts: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(OUTCOMES, 0))
        for node, outcome in self.of.items():
            counts[node.partition("::")[0]][outcome] += 1
        return dict(sorted(counts.items()))


TALLY = Tally()


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Put the bridge in place before anything of petastorm is imported, and what its tests alone miss."""
    import pandas.testing

    from lakehouse.stream import bridge, stand_ins

    assert bridge.SUPPORTED
    sys.modules["pandas.util.testing"] = pandas.testing
    stand_ins.EXTENDED["inspect"] = stand_ins.Extended(inspect, getargspec=inspect.getfullargspec)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Pass over the modules that cannot be collected."""
    return True if collection_path.stem in NOT_COLLECTED else None


def name_of(item: pytest.Item) -> str:
    """Return a test's name, whatever its parameters that have no name of their own are called."""
    return f"{item.path.parent.parent.name}/{item.path.stem}::{item.nodeid.partition('::')[2]}"


@pytest.hookimpl(trylast=True)
def pytest_runtest_logfinish() -> None:
    """Leave the outcomes so far for whoever has started this."""
    if path := os.environ.get("PETASTORM_OUTCOMES"):
        Path(path).write_text(json.dumps(TALLY.of, indent=1, sort_keys=True))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Expect what is known to fail to fail."""
    for item in items:
        if reason := KNOWN_FAILURES.get(name_of(item)):
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
        elif reason := MAY_FAIL.get(name_of(item)):
            item.add_marker(pytest.mark.xfail(reason=reason, strict=False))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, None, None]:
    """End a test that takes too long."""
    signal.signal(signal.SIGALRM, _end)
    signal.alarm(LIMIT_S)
    try:
        return (yield)
    finally:
        signal.alarm(0)


def _end(*_: object) -> None:
    raise TimeoutError(f"the test has taken longer than {LIMIT_S} s")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Count what came out."""
    report = yield
    if call.excinfo and call.excinfo.typename == "NeedsTensorFlow":
        report.outcome, report.longrepr = "skipped", (str(item.path), 0, "needs TensorFlow")
        TALLY.add(name_of(item), "needs_tensorflow")
    elif report.outcome == "skipped":
        TALLY.add(name_of(item), "known_failure" if hasattr(report, "wasxfail") else "skipped")
    elif report.outcome == "failed":
        is_pass = isinstance(report.longrepr, str) and report.longrepr.startswith("[XPASS(strict)]")
        TALLY.add(name_of(item), "unexpected_pass" if is_pass else "failed")
    elif report.when == "call":
        TALLY.add(name_of(item), "passed")
    return report
