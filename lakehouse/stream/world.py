"""Which process this is, of how many that train together."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from lakehouse.errors import StreamError

# srun sets SLURM_STEP_NUM_TASKS; a plain batch script has SLURM_NTASKS too, although one process runs there.
_LAUNCHERS = {"torchrun": ("RANK", "WORLD_SIZE"), "slurm": ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS")}


@dataclass(frozen=True)
class World:
    """A process of a training run: ``rank`` counts from 0 to ``size - 1``.

    >>> World(rank=1, size=4)
    World(rank=1, size=4)
    """

    rank: int = 0
    size: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.size:
            raise StreamError(f"impossible world: rank {self.rank} of size {self.size}; expected 0 <= rank < size")

    @classmethod
    def detect(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Return the world that torchrun (or Spark's TorchDistributor, which uses it) or SLURM's srun set up.

        Without either it is one process alone.
        """
        for launcher, (rank, size) in _LAUNCHERS.items():
            if rank in environment and size in environment:
                return cls(*(_number(environment, name, launcher) for name in (rank, size)))
        return cls()


def _number(environment: Mapping[str, str], name: str, launcher: str) -> int:
    try:
        return int(environment[name])
    except ValueError:
        raise StreamError(f"bad {name} from {launcher}: {environment[name]!r} is not a whole number") from None
