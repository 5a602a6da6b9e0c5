"""A piece of a row group made ready for batches: texts chosen, images still encoded, nothing copied but references."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.stream.batch import Pixels
from lakehouse.stream.faults import Fault
from lakehouse.stream.hashing import fractions, salted, sample_keys
from lakehouse.stream.mix import Mix
from lakehouse.stream.order import Segment

Numbers = npt.NDArray[np.int64]
Fractions = npt.NDArray[np.float64]

REQUIRED = ("sample_id", "image", "tag_ids")
"""The columns that every batch is made of."""

_CHOOSE_TEXT, _CHOOSE_NEGATIVE, _CROP_DOWN, _CROP_RIGHT = 11, 12, 13, 14


@dataclass(frozen=True)
class Recipe:
    """What is taken from a row, and the random numbers behind it."""

    mix: Mix
    negatives: Mix
    seed: int
    epoch: int
    is_random_crop: bool

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to read, each once."""
        return tuple(dict.fromkeys((*REQUIRED, *self.mix, *self.negatives)))


@dataclass(frozen=True, eq=False)
class Choice:
    """One text a row: ``column`` is its position in the mix, -1 where the row has no text of the mix."""

    text: list[str | None]
    column: Numbers


@dataclass(frozen=True, eq=False)
class Chunk:
    """The rows of a segment in the order in which they are taken; all lists run over these rows.

    ``fault`` says why none of them can be read; the lists are then empty.
    """

    segment: Segment
    file: str
    row_group: int
    fault: Fault | None = None
    images: Sequence[Pixels] = field(default=(), repr=False)
    texts: Choice = Choice([], np.empty(0, np.int64))
    negatives: Choice = Choice([], np.empty(0, np.int64))
    tag_ids: Sequence[npt.NDArray[np.int32]] = field(default=(), repr=False)
    sample_ids: Sequence[str] = ()
    down: Fractions = field(default_factory=lambda: np.empty(0), repr=False)
    right: Fractions = field(default_factory=lambda: np.empty(0), repr=False)


def make_chunk(table: pa.Table, rows: Numbers, segment: Segment, recipe: Recipe, *, file: str, row_group: int) -> Chunk:
    """Return rows ``rows`` of a row group, in that order."""
    taken = table.drop_columns(["image"]).take(pa.array(rows))
    sample_ids = _one_array(taken.column("sample_id"))
    keys = salted(sample_keys(sample_ids), recipe.seed, recipe.epoch)
    middle = np.full(len(rows), 0.5)
    return Chunk(
        segment=segment,
        file=file,
        row_group=row_group,
        images=_bytes(_one_array(table.column("image")), rows),
        texts=_choice(taken, recipe.mix, fractions(salted(keys, _CHOOSE_TEXT))),
        negatives=_choice(taken, recipe.negatives, fractions(salted(keys, _CHOOSE_NEGATIVE))),
        tag_ids=_lists(_one_array(taken.column("tag_ids"))),
        sample_ids=sample_ids.to_pylist(),
        down=fractions(salted(keys, _CROP_DOWN)) if recipe.is_random_crop else middle,
        right=fractions(salted(keys, _CROP_RIGHT)) if recipe.is_random_crop else middle,
    )


def _choice(table: pa.Table, mix: Mix, at: Fractions) -> Choice:
    texts = [as_texts(_one_array(table.column(column))) for column in mix]
    present = [pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(text), ""), False) for text in texts]
    columns = [value.to_numpy(zero_copy_only=False) for value in present]
    chosen = mix.choose(np.stack(columns, axis=1) if columns else np.empty((len(at), 0), np.bool_), at)
    index = pa.array(chosen, mask=chosen < 0)
    return Choice(pc.choose(index, *texts).to_pylist() if texts else [None] * len(at), chosen)


def as_texts(column: pa.Array) -> pa.Array:
    """Return a column of strings as it is, and one of lists of strings with each list joined by a comma and a space.

    >>> as_texts(pa.array([["red kite", None, "beach"], []])).to_pylist()
    ['red kite, beach', '']
    """
    if not _is_list(column.type):
        return column.cast(pa.string())
    if column.flatten().null_count:
        kept = [None if tags is None else [tag for tag in tags if tag is not None] for tags in column.to_pylist()]
        column = pa.array(kept, pa.list_(pa.string()))
    return pc.binary_join(column.cast(pa.list_(pa.string())), ", ")


def is_text(kind: pa.DataType) -> bool:
    """Return whether a column of this type holds texts: strings, or lists of strings."""
    return _is_string(kind.value_type if _is_list(kind) else kind)


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _is_string(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _bytes(column: pa.Array, rows: Numbers) -> list[Pixels]:
    """Return views of the encoded images; an image that is missing has no bytes."""
    images = column.cast(pa.large_binary())
    _, offsets, values = images.buffers()
    ends = np.frombuffer(offsets, np.int64)[images.offset :]
    data = np.frombuffer(values if values is not None else b"", np.uint8)
    starts, stops = ends[rows].tolist(), ends[rows + 1].tolist()
    return [data[start:stop] for start, stop in zip(starts, stops, strict=True)]


def _lists(column: pa.Array) -> list[npt.NDArray[np.int32]]:
    values = column.values.cast(pa.int32()).to_numpy(zero_copy_only=False)
    ends = column.offsets.to_numpy().tolist()
    return [values[start:stop] for start, stop in pairwise(ends)]


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    # combine_chunks copies even where there is nothing to combine, and images are large.
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
