"""What threads promise to those who wait for them."""

import threading
import time
import weakref
from concurrent.futures import Future

import pytest

from lakehouse.errors import StreamError
from lakehouse.stream.crew import Crew


def test_a_result_comes_back() -> None:
    crew = Crew(2, name="test", patience_s=10)
    assert [crew.result(crew.submit(pow, 2, power)) for power in range(5)] == [1, 2, 4, 8, 16]
    crew.close()


def test_what_a_job_raises_is_raised_to_who_waits() -> None:
    crew = Crew(1, name="test", patience_s=10)
    with pytest.raises(ValueError, match=r"invalid literal"):
        crew.result(crew.submit(int, "x"))
    crew.close()


def test_dead_threads_are_an_error() -> None:
    crew = Crew(1, name="reader", patience_s=60)
    crew.close()
    crew.join()
    with pytest.raises(StreamError, match=r"the reader threads have died"):
        crew.result(crew.submit(pow, 2, 2))


def test_a_job_that_exits_is_an_error_to_who_waits() -> None:
    def leave() -> None:
        raise SystemExit

    crew = Crew(1, name="test", patience_s=60)
    future: Future[None] = crew.submit(leave)
    with pytest.raises(StreamError, match=r"a job ended its thread: SystemExit"):
        crew.result(future)


def test_patience_ends() -> None:
    crew, release = Crew(1, name="reader", patience_s=0.1), threading.Event()
    with pytest.raises(StreamError, match=r"no answer from the reader threads in 0.1 s"):
        crew.result(crew.submit(release.wait))
    release.set()
    crew.close()
    crew.join()


def test_threads_that_wait_hold_nothing_of_their_last_jobs() -> None:
    class Held:
        pass

    crew = Crew(3, name="test", patience_s=10)
    held = Held()
    watched = weakref.ref(held)
    for _ in range(6):
        crew.result(crew.submit(lambda given: None, held))
    del held
    for _ in range(100):  # a thread may be between its answer and its wait
        if watched() is None:
            break
        time.sleep(0.01)
    assert watched() is None
    crew.close()
