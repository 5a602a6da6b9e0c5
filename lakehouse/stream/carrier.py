"""Petastorm's Reader on a worker, a pool and a ventilator of ours: row groups in the order asked for, or an error."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

# Before petastorm: without the bridge it cannot be imported.
from lakehouse.stream import bridge  # noqa: F401
from lakehouse.stream.chunk import Chunk, Recipe, make_chunk
from lakehouse.stream.crew import Crew
from lakehouse.stream.faults import CORRUPT_ROW_GROUP, Fault, is_corruption
from lakehouse.stream.order import Order, Segment
from lakehouse.stream.parquet_pieces import Partitions
from lakehouse.stream.plan import Group, Plan, read_columns

from petastorm.reader import Reader  # isort: skip
from petastorm.workers_pool import EmptyResultError  # isort: skip
from petastorm.workers_pool.ventilator import Ventilator  # isort: skip
from petastorm.workers_pool.worker_base import WorkerBase  # isort: skip

_AHEAD_PER_READER = 2


@dataclass(frozen=True)
class Work:
    """What a worker needs to know to read a segment. It stands where petastorm expects a dataset."""

    plan: Plan
    order: Order
    recipe: Recipe

    @property
    def fs(self) -> Any:
        """Unused by our worker; petastorm hands ``fs.open`` to pieces that nobody opens."""
        return self

    open = None
    paths = ""
    metadata = None
    common_metadata = None
    partitions: Partitions | None = None

    @property
    def pieces(self) -> list["_KnownFile"]:
        """The files of the plan."""
        counts: dict[str, int] = {}
        for group in self.plan.groups:
            counts[group.file] = counts.get(group.file, 0) + 1
        return [_KnownFile(file, _Footer(count)) for file, count in counts.items()]

    def read(self, segment: Segment) -> Chunk:
        """Return the segment's rows, or a chunk that says which damage is in the way."""
        group, is_whole = self.plan.groups[segment.group], self.plan.is_whole(segment.group)
        try:
            table = self._table(group, [*self.recipe.columns, *(() if is_whole else self.plan.predicate.columns)])
        except (OSError, pa.ArrowException) as error:
            if not is_corruption(error):
                raise
            fault = Fault(CORRUPT_ROW_GROUP, str(error), group.file, group.row_group, self._sample_ids(group))
            return Chunk(segment, group.file, group.row_group, fault)
        places = self.order.rows_of(segment)
        rows = places if is_whole else self.plan.keep(group, table).nonzero()[0][places]
        return make_chunk(table, rows, segment, self.recipe, file=group.file, row_group=group.row_group)

    def _table(self, group: Group, columns: Sequence[str]) -> pa.Table:
        with self.plan.snapshot.open(group.file) as parquet:
            return read_columns(self.plan.snapshot, parquet, group, columns)

    def _sample_ids(self, group: Group) -> tuple[str, ...]:
        """Return the ids of a damaged group's rows, if at least those can be read."""
        try:
            table = self._table(group, ["sample_id", *self.plan.predicate.columns])
        except (OSError, pa.ArrowException):
            return ()
        return tuple(table.column("sample_id").filter(pa.array(self.plan.keep(group, table))).to_pylist())


@dataclass(frozen=True)
class _Footer:
    """As much of a file's footer as petastorm asks for: the plan has read it, and it is not read again."""

    num_row_groups: int

    @property
    def schema(self) -> "_Footer":
        return self

    def to_arrow_schema(self) -> pa.Schema:
        return pa.schema([pa.field("sample_id", pa.string())])


@dataclass(frozen=True)
class _KnownFile:
    path: str
    footer: _Footer
    partition_keys: tuple[()] = ()

    def get_metadata(self) -> _Footer:
        return self.footer


class SegmentWorker(WorkerBase):  # type: ignore[misc] # petastorm has no types
    """Reads segments in a thread of the pool."""

    def process(self, segment: Segment) -> None:
        """Publish the segment's chunk."""
        work: Work = self.args[1]
        self.publish_func(work.read(segment))

    @staticmethod
    def new_results_queue_reader() -> "_Results":
        """Return what turns the pool's results into the reader's."""
        return _Results()


class _Results:
    batched_output = True

    def read_next(self, pool: "OrderedPool", *_: object) -> Chunk:
        try:
            return pool.get_results()
        except EmptyResultError:
            raise StopIteration from None


class OrderedVentilator(Ventilator):  # type: ignore[misc] # petastorm has no types
    """Gives the pool a few segments ahead and one more for each that was taken: no thread, no polling."""

    def __init__(self, ventilate: Callable[..., None], segments: Sequence[Segment], *, ahead: int) -> None:
        super().__init__(ventilate)
        self._waiting = deque(segments)
        self._ahead = ahead

    def start(self) -> None:
        """Give the first few."""
        for _ in range(self._ahead):
            self.processed_item()

    def processed_item(self) -> None:
        """Give one more, as one was taken."""
        if self._waiting:
            self._ventilate_fn(segment=self._waiting.popleft())

    def completed(self) -> bool:
        """Return whether the pool was given everything."""
        return not self._waiting

    def stop(self) -> None:
        """Give nothing more."""
        self._waiting.clear()


class OrderedPool:
    """A pool for petastorm's Reader whose results come in the order of ventilation, whatever the number of threads.

    The end is known, not guessed: nothing is on its way and the ventilator has nothing more.
    """

    def __init__(self, threads: int, *, patience_s: float) -> None:
        self.workers_count = threads
        self._crew = Crew(threads, name="reader", patience_s=patience_s)
        self._coming: deque[Future[list[Chunk]]] = deque()
        self._ventilator: Any = None

    def start(self, worker_class: Callable[..., Any], worker_args: Any = None, ventilator: Any = None) -> None:
        """Begin to read."""
        self._worker_class, self._worker_args, self._ventilator = worker_class, worker_args, ventilator
        ventilator.start()

    def ventilate(self, **item: Any) -> None:
        """Take one item of work."""
        self._coming.append(self._crew.submit(self._process, item))

    def get_results(self) -> Chunk:
        """Return the oldest result; raise what its worker raised, or EmptyResultError at the end."""
        if not self._coming:
            raise EmptyResultError
        (chunk,) = self._crew.result(self._coming.popleft())
        self._ventilator.processed_item()
        return chunk

    def stop(self) -> None:
        """Give up what was not begun."""
        if self._ventilator:
            self._ventilator.stop()
        self._crew.close()

    def join(self) -> None:
        """Wait for the threads, but not for ever."""
        self._crew.join()

    @property
    def diagnostics(self) -> dict[str, int]:
        """How many results wait, under petastorm's name for it."""
        return {"output_queue_size": sum(future.done() for future in self._coming)}

    def _process(self, item: dict[str, Any]) -> list[Chunk]:
        results: list[Chunk] = []
        self._worker_class(0, results.append, self._worker_args).process(**item)
        return results


class _SegmentReader(Reader):  # type: ignore[misc] # petastorm has no types
    """Petastorm's Reader over given segments instead of all row groups."""

    def __init__(self, work: Work, segments: Sequence[Segment], pool: OrderedPool) -> None:
        self._segments = segments
        super().__init__(
            work.plan.snapshot.filesystem,
            work,
            reader_pool=pool,
            worker_class=SegmentWorker,
            shuffle_row_groups=False,
            is_batched_reader=True,
        )

    def _create_ventilator(self, *_: object) -> OrderedVentilator:
        pool = self._workers_pool
        return OrderedVentilator(pool.ventilate, self._segments, ahead=_AHEAD_PER_READER * pool.workers_count + 1)


@contextmanager
def reading(work: Work, segments: Sequence[Segment], *, threads: int, patience_s: float) -> Iterator[Iterator[Chunk]]:
    """Give an iterator of the segments' chunks, in order, and end its threads afterwards."""
    pool = OrderedPool(threads, patience_s=patience_s)
    try:
        # Not as a context: petastorm's own prints a line when it is left.
        yield iter(_SegmentReader(work, segments, pool))
    finally:
        pool.stop()
        pool.join()
