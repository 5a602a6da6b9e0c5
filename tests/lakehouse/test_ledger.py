"""An answer is asked for once, and everything that could change it is in its key."""

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.lake import Lake, Txn
from lakehouse.ledger import request_key, unanswered
from schemas.silver import RESPONSES

pytestmark = pytest.mark.spark

COLUMNS = ("image_id", "alt_text")


def key(spark: SparkSession, image_id: str = "i", alt_text: str | None = "a", **settings: str) -> str:
    row = spark.createDataFrame([(image_id, alt_text)], "image_id STRING, alt_text STRING")
    return str(row.select(request_key(*COLUMNS, **({"model": "m", "prompt_hash": "p"} | settings))).collect()[0][0])


def test_everything_that_could_change_the_answer_changes_the_key(spark: SparkSession) -> None:
    keys = [
        key(spark),
        key(spark, image_id="j"),
        key(spark, alt_text="b"),
        key(spark, alt_text=None),
        key(spark, model="n"),
        key(spark, prompt_hash="q"),
        key(spark, revision="2"),
    ]
    assert len(set(keys)) == len(keys)


def test_the_order_of_the_fields_does_not_change_the_key(spark: SparkSession) -> None:
    row = spark.createDataFrame([("i", "a")], "image_id STRING, alt_text STRING")
    one, other = request_key("image_id", "alt_text", model="m"), request_key("alt_text", "image_id", model="m")
    first, second = row.select(one.alias("one"), other.alias("other")).collect()[0]
    assert first == second


def test_text_cannot_pass_for_another_field(spark: SparkSession) -> None:
    assert key(spark, image_id="i", alt_text='a","x":"y') != key(spark, image_id='i","alt_text":"a', alt_text="y")


def answers(lake: Lake, *rows: tuple[str, str, str | None]) -> None:
    frame = lake.spark.createDataFrame(list(rows), "request_key STRING, status STRING, reason STRING")
    given = {*frame.columns, "run_id", "asked_at"}
    rest = {c.name: F.lit("0").cast(c.type) for c in RESPONSES.columns if c.name not in given}
    lake.append(RESPONSES, frame.withColumns(rest | {"asked_at": F.current_timestamp()}), txn=Txn("answers", 0))


def test_an_answered_request_is_not_asked_again(lake: Lake, spark: SparkSession) -> None:
    answers(lake, ("k1", "answered", None), ("k2", "failed", "model_error"))
    requests = spark.createDataFrame([("k1",), ("k2",), ("k3",)], "request_key STRING")
    assert sorted(row.request_key for row in unanswered(lake, RESPONSES, requests).collect()) == ["k2", "k3"]
