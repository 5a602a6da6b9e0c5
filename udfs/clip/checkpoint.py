"""Where a training is, on disk: what a run after a kill goes on from, at the very step."""

import os
import sys
import time
from collections.abc import Callable, Mapping
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

    def write(self, make: Callable[[], State]) -> None:
        """Write what ``make`` returns, where it is time: tensors, numbers and texts in dictionaries and lists."""
        if time.monotonic() - self._written < 60 * self.minutes:
            return
        part = self.folder / f".{FILE}.part"
        with part.open("wb") as handle:
            torch.save({"settings": self.settings, "state": dict(make())}, handle)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(part, self.folder / FILE)
        self._written = time.monotonic()


def remove_checkpoint(folder: Path) -> None:
    """Remove the checkpoint of a training that is done."""
    (folder / FILE).unlink(missing_ok=True)
