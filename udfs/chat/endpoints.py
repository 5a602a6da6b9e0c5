"""Replicas of one model: which to ask about an image, and which to leave alone for a while."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

_FAILURES = 5
"""So many failures in a row open a breaker."""
_FIRST_REST = 1.0
_LONGEST_REST = 30.0


@dataclass
class Endpoint:
    """One replica, with its circuit breaker: after failures in a row it rests, then one request tries it again."""

    url: str
    failures: int = 0
    rest: float = _FIRST_REST
    closed_until: float = 0.0
    """Before this moment nothing is sent to it."""
    is_tried: bool = False
    """Whether the one request that tries it again is under way."""

    def is_open(self, now: float) -> bool:
        """Say whether a request may be sent."""
        return now >= self.closed_until and not (self.failures >= _FAILURES and self.is_tried)

    def take(self) -> None:
        """Count a request as sent."""
        self.is_tried = self.failures >= _FAILURES

    def served(self) -> None:
        """Count a reply of any kind: it works."""
        self.failures, self.rest, self.is_tried = 0, _FIRST_REST, False

    def failed(self, now: float) -> None:
        """Count a request without a reply, or with one that says that the server does not work."""
        self.failures += 1
        self.is_tried = False
        # Those that were in flight with the failure that opened it say nothing new.
        if self.failures >= _FAILURES and now >= self.closed_until:
            self.closed_until = now + self.rest
            self.rest = min(2 * self.rest, _LONGEST_REST)

    def pause(self, until: float) -> None:
        """Leave it alone until then, as it asked."""
        self.closed_until = max(self.closed_until, until)


@dataclass
class Endpoints:
    """All replicas. Prompts on one image meet the same one, so that its cache of prepared images is of use."""

    urls: Sequence[str]
    replicas: list[Endpoint] = field(init=False)

    def __post_init__(self) -> None:
        self.replicas = [Endpoint(url) for url in self.urls]

    def choose(self, image_id: str, now: float | None = None, *, avoid: Endpoint | None = None) -> Endpoint | None:
        """Return the replica for an image: the first that is open in an order that is the image's own; None if none is.

        Rendezvous hashing: when a replica rests, only its own images move, each to another one. ``avoid`` comes last.
        """
        now = time.monotonic() if now is None else now
        if len(self.replicas) == 1:
            return self.replicas[0] if self.replicas[0].is_open(now) else None
        ranked = sorted(self.replicas, key=lambda one: hashlib.sha256(f"{image_id}\0{one.url}".encode()).digest())
        ranked.sort(key=lambda one: one is avoid)
        return next((one for one in ranked if one.is_open(now)), None)

    @property
    def is_broken(self) -> bool:
        """Whether every replica has failed so often that it rests: none has just asked to be left alone."""
        return all(one.failures >= _FAILURES for one in self.replicas)

    def opens_in(self, now: float) -> float:
        """Return the seconds until a replica may be asked again."""
        return max(0.01, min(one.closed_until for one in self.replicas) - now)
