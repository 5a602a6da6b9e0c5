"""Mends petastorm's pools: an epoch ends when everything was read, and nobody waits for the dead.

Each pool asks its ventilator whether all was given before it looks whether all was read. In petastorm's own order the
last items can be given between the two looks, and are lost.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, Queue
from subprocess import Popen
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import numpy as np

from lakehouse.errors import StreamError
from lakehouse.stream import worker_process

_IDLE_S = 0.0005
_RETRY_S = 0.01
_POLL_S = 0.1
_START_S = 120.0
_GRACE_S = 2.0
"""How long a dead process's last words, and what the others have read, may still arrive."""
_JOIN_S = 10.0


class DeadWorker(StreamError, RuntimeError):
    """A thread or a process that read has died: its rows will not come. Petastorm has a RuntimeError here."""


def _was_all_given(pool: Any) -> bool:
    """Return whether the pool's ventilator, if it has one, has given everything."""
    return pool._ventilator is None or bool(pool._ventilator.completed())


def _raise_for_ventilator(pool: Any) -> None:
    """Raise what has ended the ventilator's thread, if anything has: nobody else looks into it."""
    if failure := getattr(pool._ventilator, "failure", None):
        raise failure


def _mend_ventilator(module: ModuleType) -> None:
    def ventilate(self: Any) -> None:
        try:
            while not self.completed():
                _give_once(self)
        except Exception as error:
            self.failure = error

    module.ConcurrentVentilator._ventilate = ventilate


def _give_once(ventilator: Any) -> None:
    """Give each item once, in an order of this round's own where the items are shuffled."""
    items = ventilator._items_to_ventilate
    for index in _order_of(ventilator, len(items)):
        while _is_full(ventilator):
            time.sleep(ventilator._ventilation_interval)
        if ventilator.completed():
            return
        ventilator._ventilate_fn(**items[index])
        ventilator._ventilated_items_count += 1
    if ventilator._iterations_remaining is not None:
        ventilator._iterations_remaining -= 1


def _order_of(ventilator: Any, count: int) -> Any:
    if not ventilator._randomize_item_order:
        return range(count)
    return (ventilator._rng if ventilator._random_seed else np.random).permutation(count)


def _is_full(ventilator: Any) -> bool:
    waiting = ventilator._ventilated_items_count - ventilator._processed_items_count
    return waiting >= ventilator._max_ventilation_queue_size and not ventilator.completed()


def _mend_dummy_pool(module: ModuleType) -> None:
    def get_results(self: Any) -> Any:
        while not self._results_queue:
            was_all_given = _was_all_given(self)
            if self._ventilator_queue:
                _work_off_one(self)
            elif was_all_given:
                raise module.EmptyResultError
            else:
                _raise_for_ventilator(self)
                time.sleep(_IDLE_S)
        return self._results_queue.pop(0)

    module.DummyPool.get_results = get_results


def _work_off_one(pool: Any) -> None:
    arguments, named = pool._ventilator_queue.pop(0)
    pool._worker.process(*arguments, **named)
    if pool._ventilator:
        pool._ventilator.processed_item()


def _mend_thread_pool(module: ModuleType) -> None:
    pool = module.ThreadPool
    was_read, join = pool.current_worker_done, pool.join

    def current_worker_done(self: Any, worker_id: int) -> bool:
        # Items go round the workers in turn: one that has nothing yet is waited for, or the order would change.
        return _was_all_given(self) and bool(was_read(self, worker_id))

    def all_workers_done(self: Any) -> bool:
        was_all_given = _was_all_given(self)
        if not all(was_read(self, number) for number in range(self.workers_count)):
            _look_for_dead_threads(self)
            return False
        if not was_all_given:
            _raise_for_ventilator(self)
            time.sleep(_IDLE_S)  # the pool's own loop would spin
        return was_all_given

    def mended_join(self: Any) -> None:
        until = time.monotonic() + _JOIN_S
        for number, thread in enumerate(self._workers):
            while thread.is_alive() and time.monotonic() < until:
                _empty(self._results_queues[number])  # a thread that has failed waits there to say so
                thread.join(_POLL_S)
        if not any(thread.is_alive() for thread in self._workers):
            join(self)

    pool.current_worker_done, pool.all_workers_done, pool.join = current_worker_done, all_workers_done, mended_join


def _look_for_dead_threads(pool: Any) -> None:
    for number, thread in enumerate(pool._workers):
        is_dead = not thread.is_alive() and not pool._stop_event.is_set()
        if is_dead and pool._results_queues[number].empty() and not pool.current_worker_done(number):
            raise DeadWorker(f"reader thread {number} has died: what it was given cannot be read")


def _empty(queue: "Queue[Any]") -> None:
    with suppress(Empty):
        while True:
            queue.get_nowait()


def _mend_process_pool(module: ModuleType) -> None:
    pool = module.ProcessPool
    take = _taker(module)

    def get_results(self: Any) -> Any:
        while True:
            was_all_given = _was_all_given(self)
            if self._ventilated_items == self._ventilated_items_processed and was_all_given:
                raise module.EmptyResultError
            dead = _dead_of(self)
            if self._results_receiver_poller.poll(_POLL_S * 1000):
                is_result, result = take(self)
                if is_result:
                    return result
            elif dead:
                _give_up(self, dead)
            else:
                _raise_for_ventilator(self)
            if dead and time.monotonic() > self.__dict__.setdefault("_until", time.monotonic() + _GRACE_S):
                _give_up(self, dead)

    def ventilate(self: Any, *arguments: Any, **named: Any) -> None:
        import dill

        self._ventilated_items += 1
        item = dill.dumps((arguments, named))  # not pickle: predicates are often lambdas
        _until_done(self, lambda: self._ventilator_send.send(item, flags=module.zmq.NOBLOCK))

    def wait_for_workers_to_start(self: Any) -> None:
        try:
            for _ in range(self.workers_count):
                _until_done(self, lambda: self._results_receiver.recv_pyobj(flags=module.zmq.NOBLOCK))
        except DeadWorker:
            self.stop()
            self.join()
            raise

    def join(self: Any) -> None:
        _end(self)
        for socket in (self._ventilator_send, self._control_sender, self._results_receiver):
            socket.close()
        self._context.destroy()
        self._folder.cleanup()

    module.__dict__["exec_in_new_process"] = worker_process.start
    pool._create_local_socket_on_random_port = _private_socket
    pool._wait_for_workers_to_start = wait_for_workers_to_start
    pool.get_results, pool.ventilate, pool.join = get_results, ventilate, join


def _private_socket(pool: Any, context: Any, kind: int) -> tuple[Any, str]:
    """Return a socket in a folder of this user's, and its address.

    What comes through it is unpickled. A port of this machine, as petastorm has it, is open to all who work on it.
    """
    folder = pool.__dict__.setdefault("_folder", TemporaryDirectory(prefix="pool-"))
    socket = context.socket(kind)
    socket.linger = 1000
    address = f"ipc://{folder.name}/{int(kind)}"
    socket.bind(address)
    return socket, address


def _taker(module: ModuleType) -> Callable[[Any], tuple[bool, Any]]:
    """Return what takes one message from a pool's workers: whether it is a result, and the result."""

    def take(pool: Any) -> tuple[bool, Any]:
        payload, control = pool._results_receiver.recv_multipart(copy=pool._zmq_copy_buffers)
        note = module.pickle.loads(control if pool._zmq_copy_buffers else control.buffer)
        if note is None:
            return True, pool._serializer.deserialize(payload if pool._zmq_copy_buffers else payload.buffer)
        if isinstance(note, Exception):
            pool.stop()
            pool.join()
            raise note
        pool._ventilated_items_processed += 1
        if pool._ventilator:
            pool._ventilator.processed_item()
        return False, None

    return take


def _until_done(pool: Any, attempt: Callable[[], object]) -> None:
    """Try until it works, but not once the pool was stopped or a worker has died."""
    import zmq

    until = time.monotonic() + _START_S
    while not getattr(pool._ventilator, "_stop_requested", False):
        with suppress(zmq.Again):
            attempt()
            return
        if dead := _dead_of(pool):
            raise DeadWorker(_said_of(dead))
        if time.monotonic() > until:
            raise DeadWorker(f"no worker process has answered in {_START_S:g} s")
        time.sleep(_RETRY_S)


def _dead_of(pool: Any) -> "Popen[bytes] | None":
    return next((worker for worker in pool._workers if worker.poll() is not None), None)


def _said_of(dead: "Popen[bytes]") -> str:
    return f"worker process {dead.pid} has ended with {dead.returncode}: what it was given cannot be read"


def _give_up(pool: Any, dead: "Popen[bytes]") -> None:
    pool.stop()
    pool.join()
    raise DeadWorker(_said_of(dead))


def _end(pool: Any) -> None:
    """Ask the worker processes to end, and kill those that have not ended soon."""
    until = time.monotonic() + _JOIN_S
    while any(worker.poll() is None for worker in pool._workers) and time.monotonic() < until:
        pool.stop()  # again and again: one that is just starting does not hear it
        time.sleep(_POLL_S)
    for worker in pool._workers:
        if worker.poll() is None:
            worker.kill()
        worker.wait()


MENDS = {
    "petastorm.workers_pool.ventilator": _mend_ventilator,
    "petastorm.workers_pool.dummy_pool": _mend_dummy_pool,
    "petastorm.workers_pool.thread_pool": _mend_thread_pool,
    "petastorm.workers_pool.process_pool": _mend_process_pool,
}
"""What mends which module."""
