"""A command as a user meets it: what it answers, prints and complains of."""

import io
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_INSIDES = re.compile(r"Traceback|Py4J|py4j|\bjava\.|\bscala\.|org\.apache|io\.delta|\.py\"|\tat |JVM stacktrace")
"""What only a programmer understands."""


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line that says what went wrong; fails where there is another number of them, or a stack trace."""
        assert self.code == 1, self
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self
        assert self.shows_no_insides, self
        return lines[0]

    @property
    def refusal(self) -> str:
        """The one line about a bad flag or value."""
        assert self.code == 2, self
        assert self.err.count("\n") == 1, self
        assert self.shows_no_insides, self
        return self.err.strip()

    @property
    def shows_no_insides(self) -> bool:
        return not _INSIDES.search(self.out + self.err)


def call(main: Callable[[Sequence[str]], int], *argv: object) -> Said:
    """Run a job's ``main`` in this process, as its command does."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main([str(one) for one in argv])
        except SystemExit as exit_:
            code = int(exit_.code or 0)
    return Said(code, out.getvalue(), err.getvalue())


def python(*argv: object, cwd: Path = ROOT, **environment: str) -> Said:
    """Run Python as a process of its own."""
    done = subprocess.run(
        [sys.executable, *map(str, argv)],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)
