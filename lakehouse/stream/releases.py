"""A training release: the one line from which anyone can rebuild the same batches."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from lakehouse.errors import StreamError
from lakehouse.stream.delta import open_snapshot
from lakehouse.stream.mix import Mix


@dataclass(frozen=True)
class Release:
    """A line of ``gold.releases``; the fields are its columns, with the mixes parsed."""

    release: str
    table_name: str
    table_version: int
    predicate: str
    mix: Mix
    negatives: Mix
    seed: int
    vocabulary: str
    tag_count: int
    train_rows: int
    held_out_rows: int
    digest: str

    def rows_of(self, split: str) -> int | None:
        """Return how many rows the release has of ``split``, None where it does not say."""
        return {"train": self.train_rows, "held_out": self.held_out_rows}.get(split)


_COLUMNS = tuple(field.name for field in fields(Release))


def read_release(lake: str, name: str, storage_options: Mapping[str, str] | None = None) -> Release:
    """Return release ``name`` of the lake; where there is none of that name, the error lists those there are."""
    releases = list_releases(lake, storage_options)
    if name not in releases:
        known = ", ".join(sorted(releases)) or "there are none yet"
        raise StreamError(f"unknown release {name!r} in {lake!r}: expected one of {known}")
    return releases[name]


def list_releases(lake: str, storage_options: Mapping[str, str] | None = None) -> dict[str, Release]:
    """Return all releases of the lake by name."""
    snapshot = open_snapshot(table_location(lake, "gold.releases"), None, storage_options)
    rows = [row for table in snapshot.tables(_COLUMNS) for row in table.to_pylist()]
    return {str(row["release"]): _release(row) for row in rows}


def table_location(lake: str, table: str) -> str:
    """Return where table ``layer.name`` lies in the lake.

    >>> table_location("s3://bucket/lake/", "gold.training")
    's3://bucket/lake/gold/training'
    """
    return f"{lake.rstrip('/')}/{table.replace('.', '/')}"


def _release(row: Mapping[str, object]) -> Release:
    mixes = {"mix": Mix.parse(str(row["mix"] or "")), "negatives": Mix.parse(str(row["negatives"] or ""))}
    return Release(**{**row, **mixes})  # type: ignore[arg-type] # the declared table says what the columns hold
