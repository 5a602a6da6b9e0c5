"""A cluster of one worker with two GPUs that are not there: prints which of them the tasks of three stages had."""

import json
import os
import sys
import time
from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import SparkSession

from udfs.spark import assigned_gpu, map_stream, partition

SEEN = pa.schema({"gpu": pa.string(), "process": pa.int64(), "partition": pa.int64()})


def who(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield a row about this task, which takes long enough for the other to be given the other GPU."""
    for _ in batches:
        time.sleep(1)
        yield pa.RecordBatch.from_pylist(
            [{"gpu": assigned_gpu(), "process": os.getpid(), "partition": partition()}], schema=SEEN
        )


def main(discovery: str, cluster: str) -> None:
    """Print one line of JSON a stage: without GPUs, with a whole one a task, with half of one."""
    settings = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.executor.memory": "512m",
        "spark.executor.resource.gpu.amount": "2",
        "spark.executor.resource.gpu.discoveryScript": discovery,
        "spark.worker.resource.gpu.amount": "2",
        "spark.worker.resource.gpu.discoveryScript": discovery,
        "spark.executorEnv.PYTHONPATH": os.environ["PYTHONPATH"],
    }
    builder = SparkSession.builder.master(cluster).appName("gpu_stages")
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    for gpus in (0, 1, 0.5):
        rows = map_stream(session.range(0, 4, 1, 4), who, SEEN, gpus=gpus).collect()
        print(json.dumps([row.asDict() for row in rows]), flush=True)
    session.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
