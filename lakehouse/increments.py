"""Run a job as a stream of increments: what is new since the last run, once, whatever dies in between."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future

from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame

from lakehouse.lake import Txn
from lakehouse.outcome import Counts
from lakehouse.progress import Progress

Each = Callable[[DataFrame, Txn], Counts]
"""Handle one micro-batch: write with the transaction, return counts, ``rows`` among them for the progress."""


def run_increments(new_rows: DataFrame, each: Each, *, checkpoint: str, progress: Progress, every: str = "") -> Counts:
    """Hand every row of the stream ``new_rows`` that ``checkpoint`` has not seen to ``each``; return the summed counts.

    With ``every`` (``"1 minute"``) the stream goes on until it is stopped; without, it ends when nothing is waiting.
    After a kill, the batch that was under way comes again, whole, with the same transaction: writes that were
    committed are skipped by Delta. An error raised by ``each`` is raised here as it was.
    """
    # The id and not the query, which holds what calls handle: across two languages nobody would ever free the two.
    query_id: Future[str] = Future()
    failed: list[BaseException] = []
    total: Counter[str] = Counter()

    def handle(batch: DataFrame, number: int) -> None:
        try:
            # The id belongs to the checkpoint and outlives restarts: it is what makes the transaction the same.
            counts = each(batch, Txn(query_id.result(timeout=120), number))
        except BaseException as error:
            failed.append(error)
            raise
        total.update(counts)
        progress.add(counts.get("rows", 0))

    writer = new_rows.writeStream.option("checkpointLocation", checkpoint).foreachBatch(handle)
    trigger = writer.trigger(processingTime=every) if every else writer.trigger(availableNow=True)
    query = trigger.start()
    query_id.set_result(str(query.id))
    try:
        query.awaitTermination()
    except StreamingQueryException:
        if failed:
            raise failed[0] from None
        raise
    finally:
        if query.isActive:
            query.stop()
    return dict(total)
