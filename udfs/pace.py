"""How far a training is, as one line for people."""

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """How far a run is: ``steps`` are all that it will do, ``loss`` is the last one's total in nats.

    ``samples`` and ``seconds`` are this run's own, which went on from step ``began``.
    """

    step: int
    steps: int
    samples: int
    seconds: float
    loss: float
    began: int = 0

    @property
    def rate(self) -> float:
        """Samples a second."""
        return self.samples / max(self.seconds, 1e-9)

    def __str__(self) -> str:
        """Return one line.

        >>> str(Pace(step=50, steps=200, samples=6400, seconds=20.0, loss=2.5))
        'step 50 of 200, loss 2.500, 320 samples/s, 60 s left'
        >>> str(Pace(step=50, steps=200, samples=6400, seconds=20.0, loss=2.5, began=40))
        'step 50 of 200, loss 2.500, 320 samples/s, 300 s left'
        """
        left = self.seconds / max(self.step - self.began, 1) * max(self.steps - self.step, 0)
        done = f"step {self.step:,} of {self.steps:,}, loss {self.loss:.3f}"
        return f"{done}, {_few(self.rate)} samples/s, {left:,.0f} s left"


def print_pace(pace: Pace, *, job: str) -> None:
    """Print one line on standard error."""
    print(f"{job}: {pace}", file=sys.stderr, flush=True)


def _few(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"
