"""Which pairs are of one group: all that repeat the same first one, directly or through others."""

from collections.abc import Iterable, Mapping


def roots(repeats: Iterable[tuple[str, str]], known: Mapping[str, str]) -> dict[str, str]:
    """Return pair -> the first of its group for every ``(pair, earlier pair)`` of ``repeats``.

    ``known`` are pairs whose first was found before. Each pair may stand once, and always points to an earlier one, so
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
