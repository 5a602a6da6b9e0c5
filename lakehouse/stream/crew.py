"""Threads that cannot make anyone wait for ever."""

import atexit
import os
import queue
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from lakehouse.errors import StreamError

T = TypeVar("T")

_LOOK_S = 0.5
_JOIN_S = 5.0

Jobs = queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Crew:
    """Daemon threads that run jobs in the order in which they were given.

    Waiting for a result ends when the job ends, when the threads have died, or after ``patience_s`` seconds.
    """

    def __init__(self, size: int, *, name: str, patience_s: float) -> None:
        self.name = name
        self.patience_s = patience_s
        self._jobs: Jobs = queue.SimpleQueue()
        self._threads = [_Worker(self._jobs, f"{name}-{number}") for number in range(size)]
        for thread in self._threads:
            thread.start()

    def submit(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """Queue a call and return its future."""
        future: Future[T] = Future()
        self._jobs.put((future, partial(function, *arguments)))
        return future

    def result(self, future: Future[T]) -> T:
        """Return what the job returned, raise what it raised, and raise StreamError where no answer will come."""
        deadline = time.monotonic() + self.patience_s
        while not self._is_settled(future):
            if not any(thread.is_alive() for thread in self._threads) and not future.done():
                raise StreamError(f"the {self.name} threads have died: nothing more can be read")
            if time.monotonic() > deadline:
                raise StreamError(f"no answer from the {self.name} threads in {self.patience_s:g} s")
        return future.result()

    def close(self) -> None:
        """Drop the jobs that wait, and let the threads end after the one they are at; they are not waited for."""
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job:
                job[0].cancel()
        for _ in self._threads:
            self._jobs.put(None)

    def join(self) -> None:
        """Wait for the threads to end, for five seconds each at most."""
        for thread in self._threads:
            thread.join(_JOIN_S)

    @staticmethod
    def _is_settled(future: Future[Any]) -> bool:
        try:
            future.exception(_LOOK_S)
        except TimeoutError:
            return False
        return True


class _Worker(threading.Thread):
    """Does jobs until it is told to end, or Python ends."""

    def __init__(self, jobs: Jobs, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.jobs = jobs
        _workers.add(self)

    def run(self) -> None:
        while (job := self.jobs.get()) is not None and not _python_ends.is_set():
            _settle(*job)
            # A thread that waits holds nothing: its last job would keep a batch's memory from being used again.
            del job


_workers: "weakref.WeakSet[_Worker]" = weakref.WeakSet()
_python_ends = threading.Event()


@atexit.register
def _end_all() -> None:
    """End the threads before Python ends: one that it kills inside Arrow takes the process with it by SIGABRT."""
    _python_ends.set()
    workers = [worker for worker in _workers if worker.is_alive()]
    for worker in workers:
        worker.jobs.put(None)
    until = time.monotonic() + _JOIN_S
    for worker in workers:
        worker.join(max(0.0, until - time.monotonic()))


def _settle(future: Future[Any], call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(call())
    except Exception as error:
        future.set_exception(error)
    except BaseException as error:  # raised as it is, SystemExit would end the trainer without a word
        future.set_exception(StreamError(f"a job ended its thread: {error!r}"))
