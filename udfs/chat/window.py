"""How many requests to have in flight: all that are allowed, fewer when the server slows down or says no."""

import math
from dataclasses import dataclass

_TOLERANCE = 3.0
"""How many times its best time a server may take before it counts as overloaded: batching makes every answer slower."""
_SMOOTHING = 0.02
_MIN_ANSWERS = 40
"""So many answers make a mean, and twice those in flight: of the first that were sent, the short answers come first."""
_WINDOWS_TO_ALL = 16
"""After so many windows of answers without a complaint, all that is allowed is in flight again."""


@dataclass
class Window:
    """Additive increase, multiplicative decrease of the requests in flight, from latencies and refusals.

    ``most`` is this task's share of what is allowed; ``limit`` what the server bears, as far as it has said so.
    """

    most: int = 1
    limit: float | None = None
    """None until the server has first shown a limit: whoever allows so many in flight means to have them there."""
    is_proven: bool = False
    """Whether the server has answered anything: the first request goes alone, for what is wrong is often so for all."""
    _best: float = math.inf
    _mean: float = 0.0
    _answers: int = 0
    _since_cut: int = 0

    @property
    def size(self) -> int:
        """How many requests may be in flight now, at least one."""
        if not self.is_proven:
            return 1
        return max(1, self.most if self.limit is None else min(int(self.limit), self.most))

    def answered(self, seconds: float) -> None:
        """Count an answer that took ``seconds``."""
        self.is_proven = True
        self._since_cut += 1
        self._answers += 1
        self._mean += max(_SMOOTHING, 1 / self._answers) * (seconds - self._mean)
        if self._answers >= max(_MIN_ANSWERS, 2 * self.most):
            self._best = min(self._best, self._mean)
        if self._since_cut > self.size and self._mean > _TOLERANCE * self._best:
            self._cut(0.9)
            # What was best may have been an empty server, or shorter texts: it is forgotten slowly.
            self._best *= 1.1
        elif self.limit is not None:
            self.limit = min(self.limit + max(1.0, self.most / _WINDOWS_TO_ALL) / self.limit, float(self.most))

    def refused(self) -> None:
        """Count an answer that said: too much."""
        # Once a window: all that were in flight with it are refused for the same reason.
        if self.limit is None or self._since_cut >= self.limit / 2:
            self._cut(0.5)

    def _cut(self, share: float) -> None:
        self.limit = max(1.0, self.size * share)
        self._since_cut = 0
