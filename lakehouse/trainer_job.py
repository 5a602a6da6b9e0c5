"""A job of the trainer's side as a command: the same as a Spark job, without Spark and without Java.

Where torchrun starts several processes of it, each does its share; the first alone locks, records and speaks.
"""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic

from lakehouse.cli import check_ranges, parse
from lakehouse.job_config import C
from lakehouse.lake_mark import check_lake
from lakehouse.lake_root import normal_root
from lakehouse.lock import hold
from lakehouse.outcome import Counts, explain, finish
from lakehouse.runs import Run, new_run_id
from lakehouse.small_rows import append_rows, version_of
from lakehouse.stream.world import World
from lakehouse.table import Table


@dataclass(frozen=True)
class TrainerJob(Generic[C]):
    """A job: its name, its configuration, and the function that does it, given the lake's root and the run's id.

    The function returns counts; an empty mapping says that there was nothing to do, and leaves no row in the run log.
    """

    name: str
    config: type[C]
    body: Callable[[str, str, C], Counts]
    tables: Sequence[Table]
    runs: Table

    def main(self, argv: Sequence[str] | None = None) -> int:
        """Run from the command line; return 0 when done, 1 when failed with one line. A bad flag exits with 2."""
        config = parse(self.config, argv, prog=self.name)

        def work(logs: str | None) -> Counts:
            root = normal_root(config.lake)
            check_lake(root)
            if World.detect().rank:
                check_ranges(config)
                return self.body(root, "", config)
            with hold(root, self.name):
                if logs is not None:
                    os.makedirs(logs, exist_ok=True)
                return self.run(config)

        return finish(self.name, config.lake, work, is_quiet=World.detect().rank > 0)

    def run(self, config: C) -> Counts:
        """Do the job as a run of its own, write its row into the run log, and return its counts."""
        root = normal_root(config.lake)
        check_lake(root)
        check_ranges(config)
        run = Run(self.name, new_run_id(self.name), config)
        try:
            counts = self.body(root, run.run_id, config)
        except Exception as error:
            self._record_failure(run, root, error)
            raise
        if counts:
            append_rows(root, self.runs, [run.row(counts=counts, versions=self._versions(root))])
        return counts

    def _versions(self, root: str) -> dict[str, int]:
        found = {table.name: version_of(root, table) for table in self.tables}
        return {name: version for name, version in found.items() if version is not None}

    def _record_failure(self, run: Run, root: str, error: Exception) -> None:
        try:
            append_rows(root, self.runs, [run.row(counts={}, versions={}, error=explain(error))])
        except Exception as second:
            print(f"note: the run log could not be written: {explain(second)}", file=sys.stderr)
