"""Rows that are computed once for several questions, and let go however these end."""

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import DataFrame


@contextmanager
def persisted(rows: DataFrame) -> Iterator[DataFrame]:
    """Keep ``rows`` at the executors inside the block, from the first time that they are asked for.

    A write to a table that they were read from makes them anew, with what was written: ask before you write.
    """
    rows.persist()
    try:
        yield rows
    finally:
        rows.unpersist()
