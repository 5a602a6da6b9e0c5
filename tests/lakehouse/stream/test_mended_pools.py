"""Epochs that end when all was read, and pools that wait for nobody who is dead."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.stream import bridge  # noqa: F401 # before petastorm
from lakehouse.stream.mended_pools import DeadWorker

from petastorm import make_batch_reader  # isort: skip
from petastorm.workers_pool import EmptyResultError  # isort: skip
from petastorm.workers_pool.dummy_pool import DummyPool  # isort: skip
from petastorm.workers_pool.thread_pool import ThreadPool  # isort: skip
from petastorm.workers_pool.ventilator import ConcurrentVentilator  # isort: skip
from petastorm.workers_pool.worker_base import WorkerBase  # isort: skip

GROUPS = 20


class Echo(WorkerBase):  # type: ignore[misc] # petastorm has no types
    """Publishes its item at once."""

    def process(self, item: int) -> None:
        self.publish_func(item)


class Leaver(WorkerBase):  # type: ignore[misc] # petastorm has no types
    """Ends its thread in a way that petastorm does not look for."""

    def process(self, item: int) -> None:
        raise SystemExit


class Failer(WorkerBase):  # type: ignore[misc] # petastorm has no types
    """Publishes more than anybody takes, then fails."""

    def process(self, item: int) -> None:
        for _ in range(5):
            self.publish_func(item)
        raise ValueError("too much")


def results_of(pool: Any) -> Iterator[int]:
    while True:
        try:
            yield pool.get_results()
        except EmptyResultError:
            return


def started(pool: Any, worker: type, **options: Any) -> Any:
    items = [{"item": number} for number in range(31)]
    ventilator = ConcurrentVentilator(pool.ventilate, items, ventilation_interval=0.0005, **options)
    pool.start(worker, ventilator=ventilator)
    return pool


def closed(pool: Any) -> None:
    pool.stop()
    pool.join()


@pytest.mark.usefixtures("eager_switches")
@pytest.mark.parametrize("make", [DummyPool, lambda: ThreadPool(2)])
def test_a_pool_waits_for_what_is_still_on_its_way(make: Callable[[], Any]) -> None:
    for _ in range(40):
        pool = started(make(), Echo, max_ventilation_queue_size=8)
        assert sorted(results_of(pool)) == list(range(31))
        closed(pool)


@pytest.mark.usefixtures("eager_switches")
def test_threads_keep_the_order_of_what_they_are_given() -> None:
    for _ in range(20):
        pool = started(ThreadPool(3), Echo, max_ventilation_queue_size=4)
        assert list(results_of(pool)) == list(range(31))
        closed(pool)


def test_a_dead_thread_is_an_error() -> None:
    pool = started(ThreadPool(2), Leaver)
    with pytest.raises(DeadWorker, match=r"reader thread \d has died"):
        pool.get_results()
    closed(pool)


def test_a_thread_that_fails_is_not_waited_for_in_vain() -> None:
    pool = started(ThreadPool(1, results_queue_size=1), Failer)
    while not pool._results_queues[0].full():
        pass
    closed(pool)
    assert not pool._workers[0].is_alive()


@pytest.mark.parametrize("make", [DummyPool, lambda: ThreadPool(2)])
def test_what_ends_the_ventilator_is_raised(make: Callable[[], Any]) -> None:
    def refuse(**_: object) -> None:
        raise ValueError("cannot be sent")

    pool = make()
    pool.start(Echo, ventilator=ConcurrentVentilator(refuse, [{"item": 1}]))
    with pytest.raises(ValueError, match="cannot be sent"):
        pool.get_results()
    closed(pool)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with 20 row groups of 5 rows."""
    pq.write_table(pa.table({"id": range(GROUPS * 5)}), tmp_path / "a.parquet", row_group_size=5)
    return tmp_path


def order_of_groups(folder: Path, seed: int | None, epochs: int = 3) -> list[list[int]]:
    options = {"num_epochs": epochs, "seed": seed, "reader_pool_type": "dummy"}
    with make_batch_reader(folder.as_uri(), **options) as reader:
        groups = [int(batch.id[0]) // 5 for batch in reader]
    return [groups[start : start + GROUPS] for start in range(0, len(groups), GROUPS)]


def test_row_groups_come_in_another_order_each_epoch(folder: Path) -> None:
    epochs = order_of_groups(folder, seed=3)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert all(sorted(epoch) == list(range(GROUPS)) for epoch in epochs)


def test_equal_seeds_give_equal_orders(folder: Path) -> None:
    assert order_of_groups(folder, seed=3) == order_of_groups(folder, seed=3)


def test_the_first_epoch_has_the_order_that_petastorm_gives_it(folder: Path) -> None:
    items: Any = [{"piece": group} for group in range(GROUPS)]
    expected = [item["piece"] for item in np.random.default_rng(3).permutation(items)]
    assert order_of_groups(folder, seed=3, epochs=1) == [expected]


def test_a_killed_worker_process_is_an_error(folder: Path) -> None:
    options = {"reader_pool_type": "process", "workers_count": 2, "num_epochs": None}
    with make_batch_reader(folder.as_uri(), **options) as reader:
        next(reader)
        os.kill(reader._workers_pool._workers[0].pid, signal.SIGKILL)
        with pytest.raises(DeadWorker, match=r"worker process \d+ has ended with -9"):
            for _ in reader:
                pass
