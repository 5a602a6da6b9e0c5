"""Who ran what: one row a run, with its configuration, counts and the table versions it left."""

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from lakehouse import __version__


def new_run_id(job: str) -> str:
    """Return a name for a run that sorts by time and that no other run has."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{job}-{secrets.token_hex(3)}"


@dataclass
class Run:
    """A run under way."""

    job: str
    run_id: str
    config: Any
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: float = field(default_factory=time.monotonic)

    def row(
        self,
        *,
        counts: Mapping[str, int],
        versions: Mapping[str, int],
        cost_usd: float = 0.0,
        error: str | None = None,
    ) -> dict[str, Any]:
        """Return the row of ops.runs for this run, ended now."""
        return {
            "run_id": self.run_id,
            "job": self.job,
            "status": "failed" if error else "succeeded",
            "error": error,
            "config": json.dumps(asdict(self.config), default=str, sort_keys=True),
            "code_version": __version__,
            "counts": {name: int(count) for name, count in counts.items()},
            "versions": dict(versions),
            "started_at": self.started_at,
            "seconds": time.monotonic() - self.started,
            "cost_usd": cost_usd,
        }
