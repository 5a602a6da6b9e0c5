"""Cut a sequence into lists, by number or by weight."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in order in lists of ``size``, without reading ahead; the last may be shorter.

    >>> list(chunks("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


def weighed_chunks(items: Iterable[T], limit: int, *, weigh: Callable[[T], int]) -> Iterator[list[T]]:
    """Yield the items in order in lists that weigh up to ``limit`` together; a heavier item comes alone.

    >>> list(weighed_chunks(["a", "bc", "defg", "h"], 3, weigh=len))
    [['a', 'bc'], ['defg'], ['h']]
    """
    chunk: list[T] = []
    taken = 0
    for item in items:
        weight = weigh(item)
        if chunk and taken + weight > limit:
            yield chunk
            chunk, taken = [], 0
        chunk.append(item)
        taken += weight
    if chunk:
        yield chunk
