"""Chooses one text of each row by a mix."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.stream.hashing import Hashes, fractions, salted
from lakehouse.stream.long_texts import LongTexts, Whole
from lakehouse.stream.mix import Mix

Numbers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_CHOOSE_TEXT, _CHOOSE_NEGATIVE, _SPAN_LENGTH, _SPAN_START = 11, 12, 18, 19


@dataclass(frozen=True, eq=False)
class Choice:
    """One text a row: ``column`` is its position in the mix, -1 where the row has no text of the mix."""

    text: list[str | None] = field(default_factory=list)
    column: list[int] = field(default_factory=list)


def choose_texts(table: pa.Table, rows: Numbers, keys: Hashes, mix: Mix, long_texts: LongTexts) -> Choice:
    """Return a true text of each of the ``rows``, or as much of it as ``long_texts`` takes."""
    choice = _choose(table, rows, mix, fractions(salted(keys, _CHOOSE_TEXT)), long_texts)
    if isinstance(long_texts, Whole):  # nothing to draw
        return choice
    draws = (fractions(salted(keys, salt)).tolist() for salt in (_SPAN_LENGTH, _SPAN_START))
    parts = [
        text and long_texts.part(text, first, second) for text, first, second in zip(choice.text, *draws, strict=True)
    ]
    return Choice(parts, choice.column)


def choose_negatives(table: pa.Table, rows: Numbers, keys: Hashes, mix: Mix, long_texts: LongTexts) -> Choice:
    """Return a false text of each of the ``rows``, always whole: a part of a false text may well be true."""
    return _choose(table, rows, mix, fractions(salted(keys, _CHOOSE_NEGATIVE)), long_texts)


def _choose(table: pa.Table, rows: Numbers, mix: Mix, at: npt.NDArray[np.float64], long_texts: LongTexts) -> Choice:
    columns = [one_array(table.column(name)) for name in mix]
    present = [_present(column, long_texts)[rows] for column in columns]
    chosen = mix.choose(np.stack(present, axis=1) if present else np.empty((len(rows), 0), np.bool_), at)
    texts: list[str | None] = [None] * len(rows)
    # Only what is chosen becomes Python's: joining and copying all columns costs more than all else of a chunk.
    for number, column in enumerate(columns):
        places = np.flatnonzero(chosen == number)
        for place, text in zip(places.tolist(), as_texts(column.take(pa.array(rows[places]))).to_pylist(), strict=True):
            texts[place] = text
    return Choice(texts, chosen.tolist())


def _present(column: pa.Array, long_texts: LongTexts) -> Mask:
    """Return which rows have a text in the column that says something and is allowed."""
    said = _says_something(column.values) if is_list(column.type) else _says_something(column)
    if is_list(column.type):
        before = np.concatenate(([0], np.cumsum(said)))
        ends = column.offsets.to_numpy()
        said = (before[ends[1:]] > before[ends[:-1]]) & column.is_valid().to_numpy(zero_copy_only=False)
    is_allowed = long_texts.limit()
    if is_allowed is None:
        return said
    return said & [text is not None and is_allowed(text) for text in as_texts(column).to_pylist()]


def _says_something(texts: pa.Array) -> Mask:
    texts = texts.cast(pa.string())
    is_blank = pc.or_(pc.utf8_is_space(texts), pc.equal(pc.binary_length(texts), 0))
    return np.asarray(pc.fill_null(pc.invert(is_blank), False).to_numpy(zero_copy_only=False), np.bool_)


def as_texts(column: pa.Array) -> pa.Array:
    """Return a column of strings as it is, and one of lists of strings with each list joined by a comma and a space.

    >>> as_texts(pa.array([["red kite", None, "beach"], []])).to_pylist()
    ['red kite, beach', '']
    """
    if not is_list(column.type):
        return column.cast(pa.string())
    if column.flatten().null_count:
        kept = [None if tags is None else [tag for tag in tags if tag is not None] for tags in column.to_pylist()]
        column = pa.array(kept, pa.list_(pa.string()))
    return pc.binary_join(column.cast(pa.list_(pa.string())), ", ")


def is_text(kind: pa.DataType) -> bool:
    """Return whether a column of this type holds texts: strings, or lists of strings."""
    return _is_string(kind.value_type if is_list(kind) else kind)


def is_list(kind: pa.DataType) -> bool:
    """Return whether a column of this type holds lists."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """Return a column in one piece, copied only where it is in several."""
    # combine_chunks copies even where there is nothing to combine, and images are large.
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _is_string(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
