"""What every job's configuration has: a lake."""

from typing import Protocol, TypeVar


class HasLake(Protocol):
    """A job's configuration: whatever else it holds, it names a lake."""

    @property
    def lake(self) -> str:
        """Return the root of the lake."""
        ...


C = TypeVar("C", bound=HasLake)
