"""Tell a person at the console how far a job is: rows, rate, and time left."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from lakehouse.governor import Governor


@dataclass
class Progress:
    """One line a batch on standard error: ``measure_pairs: 2,000 of 8,059 rows, 310 rows/s, 20 s left``.

    ``total`` is what waits when the job starts, or None where that is not known.
    """

    job: str
    total: int | None = None
    unit: str = "rows"
    rows: int = 0
    started: float = field(default_factory=time.monotonic)

    def add(self, rows: int) -> None:
        """Count ``rows`` as done and say so."""
        self.rows += rows
        print(self.line(time.monotonic() - self.started), file=sys.stderr, flush=True)

    def line(self, seconds: float) -> str:
        """Return the line after ``seconds``.

        >>> Progress("measure_pairs", total=100, rows=50).line(5)
        'measure_pairs: 50 of 100 rows, 10 rows/s, 5 s left'
        """
        rate = self.rows / max(seconds, 1e-9)
        parts = [f"{self.job}: {self.rows:,}" + (f" of {self.total:,}" if self.total else "") + f" {self.unit}"]
        parts.append(f"{rate:,.0f} {self.unit}/s")
        if self.total and 0 < self.rows < self.total:
            parts.append(f"{(self.total - self.rows) / rate:,.0f} s left")
        return ", ".join(parts)


@contextmanager
def watch(job: str, governor: Governor, *, every: float = 5.0) -> Iterator[Progress]:
    """Say inside the block, every so many seconds, how many answers came, how fast, and what they have cost.

    Where it is known how many will come, the caller sets ``total`` of what is yielded, and the time left is said too.
    """
    ended = threading.Event()
    progress, before = Progress(job, unit="answers"), governor.answered

    def say() -> None:
        if governor.answered - before > progress.rows:
            progress.rows = governor.answered - before
            line = progress.line(time.monotonic() - progress.started)
            print(f"{line}{_bill(governor)}", file=sys.stderr, flush=True)

    def report() -> None:
        while not ended.wait(every):
            say()

    thread = threading.Thread(target=report, name="progress", daemon=True)
    thread.start()
    try:
        yield progress
    finally:
        ended.set()
        thread.join()
        say()


def _bill(governor: Governor) -> str:
    """Return what the run has come to so far, in all its questions; what is under way counts at its most."""
    limits, spent = governor.limits, governor.spent
    tokens = f"{spent.tokens:,}" + (f" of {limits.budget_tokens:,}" if limits.budget_tokens else "") + " tokens"
    usd = f"${spent.usd:,.2f}" + (f" of ${limits.budget_usd:,.2f}" if limits.budget_usd else "")
    said = [*([tokens] if spent.tokens else []), *([usd] if spent.usd or limits.budget_usd else [])]
    return f", {' and '.join(said)} so far" if said else ""
