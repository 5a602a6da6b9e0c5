"""What the tests of real servers share: a table of how fast each was, and its log where a test fails."""

from collections.abc import Generator

import pytest

from tests.servers.rows import per_second
from tests.servers.running import Running

_FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def measured(pytestconfig: pytest.Config) -> "Measured":
    """Keeps figures for the end of the run."""
    return Measured(pytestconfig.stash.setdefault(_FIGURES, []))


class Measured:
    """Measures servers; no speed is asserted, for that depends on what else the machine does."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def add(self, name: str, server: Running, *, counts: tuple[int, int], **given: object) -> list[int]:
        """Measure ``server`` with ``counts`` requests, at 1 and at 8 in flight; return how many it answered of each."""
        found = [
            per_second(server, in_flight=in_flight, count=count, **given)
            for in_flight, count in zip((1, 8), counts, strict=True)
        ]
        rates = [rate for rate, _ in found]
        times = f"installed in {server.installed_in:.0f} s, ready in {server.ready_in:.0f} s"
        self._lines.append(f"{name}: {times}, {rates[0]:.2f} requests/s at 1 in flight, {rates[1]:.2f} at 8")
        return [answered for _, answered in found]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the figures."""
    for line in config.stash.get(_FIGURES, []):
        terminalreporter.write_line(line)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of the server's log where a test of it fails."""
    report = yield
    server = getattr(item, "funcargs", {}).get("server")
    if report.failed and isinstance(server, Running):
        report.sections.append(("the server said", server.log_tail))
    return report
