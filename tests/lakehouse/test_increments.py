"""A stream of increments loses nothing, doubles nothing, and raises what its batch raised."""

import pytest
from pyspark.sql import DataFrame, SparkSession

from lakehouse.errors import BadInput
from lakehouse.increments import run_increments
from lakehouse.lake import Lake, Txn
from lakehouse.outcome import Counts
from lakehouse.progress import Progress
from schemas.silver import SELECTIONS
from tests.lakehouse.members import members

pytestmark = pytest.mark.spark


def put(lake: Lake, spark: SparkSession, *ids: str) -> None:
    lake.append(SELECTIONS, members(spark, *ids))


class Seen:
    """Batches as they came, and a fault to raise."""

    def __init__(self) -> None:
        self.batches: list[tuple[Txn, list[str]]] = []
        self.fault: Exception | None = None

    def each(self, batch: DataFrame, txn: Txn) -> Counts:
        ids = sorted(row.sample_id for row in batch.collect())
        self.batches.append((txn, ids))
        if self.fault is not None:
            raise self.fault
        return {"rows": len(ids)}


def go(lake: Lake, seen: Seen) -> Counts:
    rows = lake.stream(SELECTIONS, batch_bytes=1 << 20, needs="x")
    return run_increments(rows, seen.each, checkpoint=lake.checkpoint("x"), progress=Progress("x"))


def test_only_what_is_new_comes(lake: Lake, spark: SparkSession) -> None:
    seen = Seen()
    put(lake, spark, "a", "b")
    assert go(lake, seen) == {"rows": 2}
    assert go(lake, seen) == {}
    put(lake, spark, "c")
    assert go(lake, seen) == {"rows": 1}
    assert [ids for _, ids in seen.batches] == [["a", "b"], ["c"]]


def test_a_batch_that_failed_comes_again_with_the_same_transaction(lake: Lake, spark: SparkSession) -> None:
    seen = Seen()
    put(lake, spark, "a")
    seen.fault = BadInput("no")
    with pytest.raises(BadInput, match=r"^no$"):
        go(lake, seen)
    seen.fault = None
    go(lake, seen)
    (first, ids), (second, again) = seen.batches
    assert (first, ids) == (second, again)


def test_two_streams_have_transactions_of_their_own(lake: Lake, spark: SparkSession) -> None:
    seen = Seen()
    put(lake, spark, "a")
    go(lake, seen)
    rows = lake.stream(SELECTIONS, batch_bytes=1 << 20, needs="x")
    run_increments(rows, seen.each, checkpoint=lake.checkpoint("y"), progress=Progress("y"))
    assert seen.batches[0][0].app_id != seen.batches[1][0].app_id
