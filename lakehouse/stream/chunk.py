"""A piece of a row group made ready for batches: texts chosen, images still encoded, nothing copied but references."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lakehouse.stream.augment import Crop, RandomCrop, View, mirrored, views
from lakehouse.stream.batch import Pixels
from lakehouse.stream.choice import Choice, choose_negatives, choose_texts, one_array
from lakehouse.stream.faults import Fault
from lakehouse.stream.hashing import salted, sample_keys
from lakehouse.stream.long_texts import LongTexts, Whole
from lakehouse.stream.mix import Mix
from lakehouse.stream.order import Segment

Numbers = npt.NDArray[np.int64]

REQUIRED = ("sample_id", "image", "tag_ids")
"""The columns that every batch is made of."""


@dataclass(frozen=True)
class Recipe:
    """What is taken from a row, and the random numbers behind it."""

    mix: Mix
    negatives: Mix
    seed: int
    epoch: int
    crop: Crop = RandomCrop()  # noqa: RUF009 # frozen
    is_flipped: bool = False
    long_texts: LongTexts = Whole()  # noqa: RUF009 # frozen

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to read, each once."""
        return tuple(dict.fromkeys((*REQUIRED, *self.mix, *self.negatives)))


@dataclass(frozen=True, eq=False)
class Chunk:
    """The rows of a segment in the order in which they are taken; all lists run over these rows.

    ``fault`` says why none of them can be read; the lists are then empty. ``has_all_texts`` says that no row lacks one.
    """

    segment: Segment
    file: str
    row_group: int
    fault: Fault | None = None
    images: Sequence[Pixels] = field(default=(), repr=False)
    texts: Choice = field(default_factory=Choice)
    negatives: Choice = field(default_factory=Choice)
    tag_ids: Sequence[npt.NDArray[np.int32]] = field(default=(), repr=False)
    sample_ids: Sequence[str] = ()
    views: Sequence[View] = field(default=(), repr=False)
    has_all_texts: bool = False


def make_chunk(table: pa.Table, rows: Numbers, segment: Segment, recipe: Recipe, *, file: str, row_group: int) -> Chunk:
    """Return rows ``rows`` of a row group, in that order."""
    taken = table.select(["sample_id", "tag_ids"]).take(pa.array(rows))
    sample_ids = one_array(taken.column("sample_id"))
    keys = salted(sample_keys(sample_ids), recipe.seed, recipe.epoch)
    texts = choose_texts(table, rows, keys, recipe.mix, recipe.long_texts)
    negatives = choose_negatives(table, rows, keys, recipe.negatives, recipe.long_texts)
    is_mirrored = mirrored(keys, texts.text, negatives.text) if recipe.is_flipped else [False] * len(rows)
    return Chunk(
        segment=segment,
        file=file,
        row_group=row_group,
        images=_bytes(one_array(table.column("image")), rows),
        texts=texts,
        negatives=negatives,
        tag_ids=_lists(one_array(taken.column("tag_ids"))),
        sample_ids=sample_ids.to_pylist(),
        views=views(recipe.crop, keys, is_mirrored),
        has_all_texts=None not in texts.text,
    )


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
