"""An answer is asked for once, and everything that could change it is in its key."""

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs.asking import INPUTS, Asking
from jobs.describe_images import Config
from lakehouse.lake import Lake, Txn
from lakehouse.ledger import Ledger, request_key
from schemas.silver import RESPONSES
from udfs.prompts import read_prompt
from udfs.tasks import DESCRIBE

pytestmark = pytest.mark.spark

COLUMNS = ("image_id", "alt_text")


Row = tuple[str | None, str | None]


def keys(spark: SparkSession, *rows: Row, **settings: str) -> list[str]:
    """Return the key of each of ``rows`` of image_id and alt_text, in order."""
    frame = spark.createDataFrame(list(rows), "image_id STRING, alt_text STRING")
    made = request_key(*COLUMNS, **({"model": "m", "prompt_hash": "p"} | settings))
    return [row.key for row in frame.select(made.alias("key")).collect()]


def test_everything_that_could_change_the_answer_changes_the_key(spark: SparkSession) -> None:
    found = keys(spark, ("i", "a"), ("j", "a"), ("i", "b"), ("i", None), (None, "i"))
    for setting in ({"model": "n"}, {"prompt_hash": "q"}, {"revision": "2"}):
        found += keys(spark, ("i", "a"), **setting)
    assert len(set(found)) == len(found)


def test_a_key_is_what_it_was(spark: SparkSession) -> None:
    """Another key for the same request would buy every answer again."""
    assert keys(spark, ("i", 'says "hello", \u00e4')) == [
        "e384973d219286f1be568e11dc31b71f2c5bcb596e8099cfd0d5845efd5f9666"
    ]


def test_the_order_of_the_fields_does_not_change_the_key(spark: SparkSession) -> None:
    row = spark.createDataFrame([("i", "a")], "image_id STRING, alt_text STRING")
    one, other = request_key("image_id", "alt_text", model="m"), request_key("alt_text", "image_id", model="m")
    first, second = row.select(one.alias("one"), other.alias("other")).collect()[0]
    assert first == second


def test_text_cannot_pass_for_another_field(spark: SparkSession) -> None:
    whole, moved = ("c", "ab"), ("bc", "a")
    assert len(set(keys(spark, whole, moved))) == 2
    quoted = ("j", 'a","image_id":"i'), ('i","image_id":"j', "a")
    assert len(set(keys(spark, *quoted))) == 2


def asking(lake: Lake, prompt: str) -> Asking:
    return Asking(lake, Config(lake=lake.root, prompt=prompt), DESCRIBE, read_prompt(prompt))


@pytest.mark.parametrize("column", INPUTS)
def test_whatever_a_model_is_told_of_a_sample_is_in_its_key(lake: Lake, spark: SparkSession, column: str) -> None:
    sample: dict[str, object] = {
        "sample_id": "s",
        "image_id": "i",
        "alt_text": "a",
        "web_tags": ["t"],
        "colours": ["red"],
    }
    sample |= {"width": 4, "height": 3}
    other: object = {"web_tags": ["u"], "colours": ["blue"], "width": 5, "height": 5}.get(column, "other")
    frame = spark.createDataFrame([sample, sample | {column: other}])
    made = asking(lake, "hqclip_student").requests(frame).select("request_key").collect()
    assert made[0] != made[1]


def test_another_prompt_is_another_request(lake: Lake, spark: SparkSession) -> None:
    sample = {"sample_id": "s", "image_id": "i", "alt_text": "a", "web_tags": ["t"], "colours": ["red"]}
    frame = spark.createDataFrame([sample | {"width": 4, "height": 3}])
    asked = [asking(lake, name).requests(frame) for name in ("hqclip_student", "hqclip_teacher")]
    assert asked[0].first().request_key != asked[1].first().request_key  # type: ignore[union-attr]


def answers(lake: Lake, *rows: tuple[str, str, str | None]) -> None:
    frame = lake.spark.createDataFrame(list(rows), "request_key STRING, status STRING, reason STRING")
    given = {*frame.columns, "run_id", "asked_at"}
    rest = {c.name: F.lit("0").cast(c.type) for c in RESPONSES.columns if c.name not in given}
    lake.append(RESPONSES, frame.withColumns(rest | {"asked_at": F.current_timestamp()}), txn=Txn("answers", 0))


def test_only_what_no_server_answered_is_asked_again(lake: Lake, spark: SparkSession) -> None:
    answers(lake, ("k1", "answered", None), ("k2", "failed", "model_error"), ("k3", "missed", "timed_out"))
    requests = spark.createDataFrame([("k1",), ("k2",), ("k3",), ("k4",)], "request_key STRING")
    assert sorted(row.request_key for row in Ledger(lake, RESPONSES, "").unanswered(requests).collect()) == ["k3", "k4"]
