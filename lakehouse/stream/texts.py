"""Read columns of a release's rows without their images: for tokenizers and for queries."""

from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from typing import Any

import pyarrow as pa

from lakehouse.stream.delta import open_snapshot
from lakehouse.stream.faults import Fault, Quota
from lakehouse.stream.plan import Plan, make_plan, read_group
from lakehouse.stream.predicate import is_split, parse_predicate
from lakehouse.stream.releases import Release, table_location


def read_texts(
    lake: str, release: Release, *, columns: Sequence[str], split: str, most: int, quota: Quota
) -> Iterator[dict[str, Any]]:
    """Yield ``columns`` of at most ``most`` rows of ``split`` of the release, in the table's own order.

    A text column that is younger than a file is null there.
    Rows whose bytes are damaged are left out and counted in ``quota``, as a stream does; over it, StreamError.
    """
    snapshot = open_snapshot(table_location(lake, release.table_name), release.table_version)
    plan = make_plan(snapshot, parse_predicate(release.predicate) & is_split(split), threads=1)
    for fault, rows in plan.unreadable:
        quota.spend(fault, rows)
    tables = _tables(plan, columns, quota)
    yield from islice((row for table in tables for row in table.select(list(columns)).to_pylist()), most)


def _tables(plan: Plan, columns: Sequence[str], quota: Quota) -> Iterator[pa.Table]:
    taken = ((group, int(rows)) for group, rows in zip(plan.groups, plan.rows, strict=True) if rows)
    for file, groups in groupby(taken, key=lambda one: one[0].file):
        with plan.snapshot.open(file) as parquet:
            for group, rows in groups:
                found = read_group(plan.snapshot, parquet, group, [*columns, *plan.predicate.columns])
                if isinstance(found, Fault):
                    quota.spend(found, rows)
                else:
                    yield found.filter(pa.array(plan.keep(group, found)))
