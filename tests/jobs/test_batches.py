"""A job that asks by batch ends with one answer a sample, and its server worked on each request once."""

from typing import TYPE_CHECKING

import pytest

from benchmarks.batch_server import BatchServer
from benchmarks.chat_server import refusal
from jobs.describe_images import JOB, Config
from lakehouse.lake import Lake, Txn
from schemas.silver import DESCRIPTIONS, RESPONSES, SAMPLES
from tests.udfs.batches import samples, served

if TYPE_CHECKING:
    from aiohttp import web

pytestmark = [pytest.mark.spark, pytest.mark.slow]


def add_samples(lake: Lake, numbers: range) -> None:
    """Select the samples with ``numbers``."""
    kinds = ", ".join(f"{column.name} {column.type}" for column in SAMPLES.columns)
    rows = [row | {"run_id": "test"} for row in samples(numbers).drop_columns(["request_key"]).to_pylist()]
    lake.append(SAMPLES, lake.spark.createDataFrame(rows, kinds), txn=Txn("samples", numbers.start))


def test_a_run_that_broke_off_is_ended_by_the_next(lake: Lake) -> None:
    server = BatchServer(ends_as="failed")

    def break_off(step: str) -> "web.StreamResponse | None":
        """Answer what was missed before as ever; work on what is new, but give nothing out."""
        return refusal(401, "bad key") if step == "retrieve" and len(server.batches) > missed + 1 else None

    with served(server.app()) as place:
        config = Config(lake=lake.root, model=f"openai+batch+http://{place}/v1?model=tiny&poll=0.1&file_lines=2")
        add_samples(lake, range(1))
        assert JOB.run(lake, config)["missed_until_the_next_run"] == 1
        missed, server.ends_as = len(server.batches), "completed"
        add_samples(lake, range(1, 6))
        server.before = break_off
        with pytest.raises(Exception, match="the server refuses the key"):
            JOB.run(lake, config)
        server.before = lambda step: None
        JOB.run(lake, config)
    answered = lake.read(RESPONSES).where("status = 'answered'")
    assert answered.count() == lake.read(DESCRIPTIONS).count() == 6
    assert {row.request_key: 1 for row in answered.collect()} == dict(server.worked_on)
