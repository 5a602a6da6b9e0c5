"""Lift a batch function on Arrow into Spark: the only file here that imports it."""

from collections.abc import Callable, Iterator

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema

BatchFunction = Callable[[pa.RecordBatch], pa.RecordBatch]
StreamFunction = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


def map_batches(rows: DataFrame, function: BatchFunction, schema: pa.Schema) -> DataFrame:
    """Return ``function`` of every Arrow batch of ``rows``, with columns as in ``schema``."""
    return map_stream(rows, lambda batches: map(function, batches), schema)


def map_stream(rows: DataFrame, function: StreamFunction, schema: pa.Schema) -> DataFrame:
    """Return what ``function`` makes of the batches of each partition: for what is kept from batch to batch.

    Columns are matched by name: Spark itself takes an Arrow batch's columns by their place.
    """

    def named(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in function(batches):
            yield batch.select(schema.names).cast(schema)

    return rows.mapInArrow(named, from_arrow_schema(schema))
