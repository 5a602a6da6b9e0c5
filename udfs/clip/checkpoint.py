"""Where a training is, on disk: what a run after a kill goes on from, at the very step."""

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch

FILE: Final = "checkpoint.pt"

State = Mapping[str, Any]


@dataclass
class Checkpoint:
    """The checkpoint of a training with ``settings`` in ``folder``: written anew every ``minutes``, read once."""

    folder: Path
    settings: str
    minutes: float
    _written: float = field(default_factory=time.monotonic)

    def read(self) -> dict[str, Any] | None:
        """Return what was written last; None where there is nothing, or of another training only."""
        file = self.folder / FILE
        if not file.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:
            print(f"note: {file} cannot be read, training begins anew: {error}", file=sys.stderr)
            return None
        return state["state"] if state["settings"] == self.settings else None

    @property
    def is_due(self) -> bool:
        """Say whether it is time to write it."""
        return time.monotonic() - self._written >= 60 * self.minutes

    def write(self, state: State) -> None:
        """Write ``state``: tensors, numbers and texts in dictionaries and lists."""
        part = self.folder / f".{FILE}.part"
        with part.open("wb") as handle:
            torch.save({"settings": self.settings, "state": dict(state)}, handle)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(part, self.folder / FILE)
        self._written = time.monotonic()


def remove_checkpoint(folder: Path) -> None:
    """Remove the checkpoint of a training that is done."""
    (folder / FILE).unlink(missing_ok=True)
