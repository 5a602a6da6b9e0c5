"""Work that is done in a thread before it is asked for."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


def ahead(work: Callable[[In], Out], items: Iterable[In], *, most: int) -> Iterator[Out]:
    """Yield ``work`` of each of ``items``, in order, of which up to ``most`` are done before they are asked for.

    >>> list(ahead(str.upper, ["a", "b", "c"], most=2))
    ['A', 'B', 'C']
    """
    waiting: deque[Future[Out]] = deque()
    with ThreadPoolExecutor(1, "ahead") as pool:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
