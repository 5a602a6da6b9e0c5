"""How many requests to have in flight: more while the server keeps up, fewer when it slows down or says no."""

from dataclasses import dataclass

_START = 16
"""In flight at first; doubled with every round of answers until something speaks against it."""
_TOLERANCE = 3.0
"""How many times its best time a server may take before it counts as overloaded: batching makes every answer slower."""
_SMOOTHING = 0.05


@dataclass
class Window:
    """Additive increase, multiplicative decrease of the requests in flight, from latencies and refusals.

    ``most`` is this task's share of what is allowed; ``limit`` what the server has shown to bear.
    """

    most: int = 1
    limit: float = float(_START)
    is_proven: bool = False
    """Whether the server has answered anything: the first request goes alone, for what is wrong is often so for all."""
    _is_starting: bool = True
    _best: float | None = None
    _mean: float | None = None
    _since_cut: int = 0

    @property
    def size(self) -> int:
        """How many requests may be in flight now, at least one."""
        return max(1, min(int(self.limit), self.most)) if self.is_proven else 1

    def resize(self, most: int) -> None:
        """Take another share; the limit follows what the share has kept from being tried."""
        self.limit = max(self.limit, float(most)) if self.limit >= self.most and not self._is_starting else self.limit
        self.most = most

    def answered(self, seconds: float) -> None:
        """Count an answer that took ``seconds``."""
        self.is_proven = True
        self._since_cut += 1
        self._mean = seconds if self._mean is None else self._mean + _SMOOTHING * (seconds - self._mean)
        self._best = self._mean if self._best is None else min(self._best, self._mean)
        if self._since_cut > self.limit and self._mean > _TOLERANCE * self._best:
            self._cut(0.9)
            # What was best may have been an empty server or shorter texts: it is forgotten slowly.
            self._best *= 1.1
        elif self.limit < self.most:
            self.limit += 1.0 if self._is_starting else 1.0 / self.limit

    def refused(self) -> None:
        """Count an answer that said: too much."""
        # Once a window: all that were in flight with it will be refused for the same reason.
        if self._since_cut >= self.limit / 2 or self._is_starting:
            self._cut(0.5)

    def _cut(self, share: float) -> None:
        self._is_starting = False
        self._since_cut = 0
        self.limit = max(1.0, min(self.limit, float(self.most)) * share)
