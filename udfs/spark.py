"""Lift a batch function on Arrow into Spark: the only file here that imports it."""

from collections.abc import Callable, Iterator

import pyarrow as pa
from pyspark import TaskContext
from pyspark.resource import ResourceProfile, ResourceProfileBuilder, TaskResourceRequests
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema

BatchFunction = Callable[[pa.RecordBatch], pa.RecordBatch]
StreamFunction = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


def map_batches(rows: DataFrame, function: BatchFunction, schema: pa.Schema) -> DataFrame:
    """Return ``function`` of every Arrow batch of ``rows``, with columns as in ``schema``."""
    return map_stream(rows, lambda batches: map(function, batches), schema)


def map_stream(rows: DataFrame, function: StreamFunction, schema: pa.Schema, *, gpus: float = 0) -> DataFrame:
    """Return what ``function`` makes of the batches of each partition: for what is kept from batch to batch.

    Columns are matched by name: Spark itself takes an Arrow batch's columns by their place. With ``gpus`` each task
    is assigned so many, and only this stage asks for them: the executors must have been started with GPUs.
    """

    def named(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in function(batches):
            yield batch.select(schema.names).cast(schema)

    return rows.mapInArrow(named, from_arrow_schema(schema), profile=_with_gpus(gpus) if gpus else None)


def assigned_gpu() -> str | None:
    """Return the GPU that this task was assigned, as the discovery script names it; None if none, or outside a task."""
    context = TaskContext.get()
    gpu = context.resources().get("gpu") if context is not None else None
    return gpu.addresses[0] if gpu is not None and gpu.addresses else None


def partition() -> int:
    """Return the number of the partition that this task works on, 0 outside a task."""
    context = TaskContext.get()
    return context.partitionId() if context is not None else 0


def _with_gpus(gpus: float) -> ResourceProfile:
    # Of tasks alone: executors are not started anew for it, so that it works without dynamic allocation too.
    return ResourceProfileBuilder().require(TaskResourceRequests().cpus(1).resource("gpu", gpus)).build
