"""A Spark job as a command: parse, lock, connect, do, record."""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic

from lakehouse.cli import check_ranges, parse
from lakehouse.job_config import C
from lakehouse.lake import Lake, open_lake
from lakehouse.lake_mark import check_lake
from lakehouse.lake_root import normal_root
from lakehouse.lock import hold
from lakehouse.outcome import Counts, explain, finish
from lakehouse.runs import Run, new_run_id
from lakehouse.session import connect
from lakehouse.table import Table


@dataclass(frozen=True)
class Job(Generic[C]):
    """A job: its name, its configuration, and the function that does it and returns rows by what happened to them.

    Only a job that ``makes_lake`` may be given a folder that is no lake yet. ``check`` raises BadInput for what can be
    seen to be wrong in a configuration alone: the user need not wait for Spark to hear of it.
    """

    name: str
    config: type[C]
    body: Callable[[Lake, C], Counts]
    tables: Sequence[Table]
    runs: Table
    makes_lake: bool = False
    check: Callable[[C], None] = lambda config: None

    def main(self, argv: Sequence[str] | None = None) -> int:
        """Run from the command line; return 0 when done, 1 when failed with one line. A bad flag exits with 2."""
        config = parse(self.config, argv, prog=self.name)

        def work(logs: str | None) -> Counts:
            if not self.makes_lake:
                check_lake(normal_root(config.lake))
            self.check(config)
            with hold(normal_root(config.lake), self.name):
                spark = connect(self.name, logs=logs)
                return self._do(open_lake(config.lake, spark=spark, tables=self.tables, run_id=""), config)

        return finish(self.name, config.lake, work)

    def run(self, lake: Lake, config: C) -> Counts:
        """Do the job on an open lake as a run of its own, write its row into the run log, and return its counts.

        A configuration that ``check`` refuses is no run: it leaves no row.
        """
        check_ranges(config)
        self.check(config)
        return self._do(lake, config)

    def _do(self, lake: Lake, config: C) -> Counts:
        run = Run(self.name, new_run_id(self.name), config)
        own = replace(lake, run_id=run.run_id, touched=set(), written=set(), costs=[])
        try:
            counts = self.body(own, config)
        except Exception as error:
            _record_failure(run, own, self.runs, error)
            raise
        # A run that found nothing to do leaves no trace: running a pipeline again must not grow any table.
        if own.written:
            _record(run, own, self.runs, counts=counts)
        return counts


def _record(run: Run, lake: Lake, table: Table, *, counts: Counts, error: str | None = None) -> None:
    touched = [lake.tables[name] for name in sorted(lake.touched)]
    versions = {one.name: lake.version(one) for one in touched if lake.exists(one)}
    values = run.row(counts=counts, versions=versions, cost_usd=math.fsum(lake.costs), error=error)
    schema = ", ".join(f"`{column.name}` {column.type}" for column in table.columns)
    row = tuple(values[column.name] for column in table.columns)
    lake.append(table, lake.spark.createDataFrame([row], schema))


def _record_failure(run: Run, lake: Lake, table: Table, error: Exception) -> None:
    try:
        _record(run, lake, table, counts={}, error=explain(error))
    except Exception as second:
        # The first error is the one to hear of; a full disk, say, refuses this row too.
        print(f"note: the run log could not be written: {explain(second)}", file=sys.stderr)
