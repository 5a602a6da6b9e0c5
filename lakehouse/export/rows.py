"""Rows of a release with their images and all their texts, one row group at a time."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lakehouse.export.shards import Piece, Shard
from lakehouse.stream.choice import choose_texts
from lakehouse.stream.faults import NO_TEXT, UNDECODABLE_IMAGE, Fault
from lakehouse.stream.hashing import salted, sample_keys
from lakehouse.stream.long_texts import Whole
from lakehouse.stream.mix import Mix
from lakehouse.stream.plan import Group, Plan, read_group

CAPTION = "caption"
"""The column that holds the one text which the mix chose."""

_KEPT = ("sample_id", "image_id", "image", "tag_ids")
_JPEG = b"\xff\xd8\xff"


@dataclass
class Skips:
    """Rows that an export leaves out, with what was wrong, in the order in which they were met."""

    met: list[tuple[Fault, int]] = field(default_factory=list)

    def add(self, fault: Fault, rows: int) -> None:
        """Count ``rows`` rows as left out because of ``fault``."""
        self.met.append((fault, rows))

    @property
    def counts(self) -> dict[str, int]:
        """Rows by reason."""
        counted: Counter[str] = Counter()
        for fault, rows in self.met:
            counted[fault.reason] += rows
        return dict(counted)


@dataclass(frozen=True)
class Rows:
    """The rows of a plan: their keys, image, tag ids, ``texts``, and a caption drawn from ``mix``.

    Attributes:
        texts: text columns to read; one that is younger than a file is null there
        mix, seed: of the draw, as a stream draws in its epoch 0
    """

    plan: Plan
    texts: tuple[str, ...]
    mix: Mix
    seed: int

    def of(self, shard: Shard, skips: Skips) -> Iterator[pa.Table]:
        """Yield the shard's rows, a table a row group; what cannot be used is counted in ``skips``."""
        for file, pieces in groupby(shard.pieces, key=lambda piece: self._group(piece).file):
            with self.plan.snapshot.open(file) as parquet:
                for piece in pieces:
                    table = self._read(parquet, piece, skips)
                    if table is not None and table.num_rows:
                        yield table

    def _read(self, parquet: pq.ParquetFile, piece: Piece, skips: Skips) -> pa.Table | None:
        group = self._group(piece)
        wanted = (*_KEPT, *self.texts, *self.plan.predicate.columns)
        found = read_group(self.plan.snapshot, parquet, group, wanted)
        if isinstance(found, Fault):
            skips.add(found, len(piece))
            return None
        kept = self.plan.keep(group, found).nonzero()[0][piece.start : piece.stop]
        rows = found.take(pa.array(kept)).combine_chunks()
        return _usable(self._captioned(rows), group, skips)

    def _captioned(self, rows: pa.Table) -> pa.Table:
        """Return ``rows`` with the caption that the mix chooses, null where a row has none of its texts."""
        keys = salted(sample_keys(rows.column("sample_id").combine_chunks()), self.seed, 0)
        caption = choose_texts(rows, np.arange(rows.num_rows), keys, self.mix, Whole()).text
        return rows.select([*_KEPT, *self.texts]).append_column(CAPTION, pa.array(caption, pa.string()))

    def _group(self, piece: Piece) -> Group:
        return self.plan.groups[piece.group]


def _usable(rows: pa.Table, group: Group, skips: Skips) -> pa.Table:
    is_jpeg = pc.fill_null(pc.equal(pc.binary_slice(rows.column("image"), 0, len(_JPEG)), _JPEG), False)
    rows = _without(rows, is_jpeg, _counter(skips, UNDECODABLE_IMAGE, "the image is not a JPEG", group))
    detail = "the row has none of the texts that the mix asks for"
    return _without(rows, pc.is_valid(rows.column(CAPTION)), _counter(skips, NO_TEXT, detail, group))


def _without(rows: pa.Table, good: pa.ChunkedArray, count: Callable[[list[str]], None]) -> pa.Table:
    bad = rows.column("sample_id").filter(pc.invert(good)).to_pylist()
    if bad:
        count(bad)
    return rows.filter(good)


def _counter(skips: Skips, reason: str, detail: str, group: Group) -> Callable[[list[str]], None]:
    return lambda ids: skips.add(Fault(reason, detail, group.file, group.row_group, tuple(ids)), len(ids))
