"""Tell a person at the console how far a job is: rows, rate, and time left."""

import sys
import time
from dataclasses import dataclass, field


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
