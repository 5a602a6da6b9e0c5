"""Which of several look-alikes stays: the earliest, and everything that repeats it, directly or not, points to it."""

from collections.abc import Iterable, Mapping


def roots(repeats: Iterable[tuple[str, str]], known: Mapping[str, str]) -> dict[str, str]:
    """Return pair -> the last of the chain of earlier pairs, for every ``(pair, earlier pair)`` of ``repeats``.

    ``known`` are chains that were resolved before. Each pair may stand once, and always points to an earlier one, so
    that there is no circle.

    >>> roots([("c", "b"), ("b", "a")], known={"a": "z"})
    {'c': 'z', 'b': 'z'}
    """
    earlier = {**known, **dict(repeats)}
    found: dict[str, str] = {}
    for pair, first in repeats:
        while first in earlier:
            first = earlier[first]
        found[pair] = first
    return found
