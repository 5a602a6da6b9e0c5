"""Read columns of a release's rows without their images: for tokenizers and for queries."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa

from lakehouse.stream.delta import open_snapshot
from lakehouse.stream.predicate import is_split, parse_predicate
from lakehouse.stream.releases import Release, table_location


def read_texts(
    lake: str, release: Release, *, columns: Sequence[str], split: str, most: int
) -> Iterator[dict[str, Any]]:
    """Yield ``columns`` of at most ``most`` rows of ``split`` of the release, in the table's own order."""
    snapshot = open_snapshot(table_location(lake, release.table_name), release.table_version)
    predicate = parse_predicate(release.predicate) & is_split(split)
    wanted = list(dict.fromkeys([*columns, *predicate.columns]))
    rows = (
        row for table in snapshot.tables(wanted) for row in table.filter(pa.array(predicate.holds(table))).to_pylist()
    )
    yield from islice(({name: row[name] for name in columns} for row in rows), most)
