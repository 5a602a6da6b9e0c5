"""The tag vocabulary that HQ-CLIP's tag classifier predicts over: its version, and tags as positions in it."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence


def version_of(tags: Sequence[str]) -> str:
    """Return the name of the vocabulary ``tags``, in order: the first 12 hex digits of their SHA-256.

    >>> version_of(["cat", "dog"]) == version_of(["dog", "cat"])
    False
    """
    return hashlib.sha256("\n".join(tags).encode()).hexdigest()[:12]


def ids_of(tags: Iterable[str], positions: Mapping[str, int]) -> list[int]:
    """Return the positions of those ``tags`` that the vocabulary has, ascending, each once.

    >>> ids_of(["dog", "unicorn", "cat"], {"cat": 0, "dog": 1})
    [0, 1]
    """
    return sorted({positions[tag] for tag in tags if tag in positions})
