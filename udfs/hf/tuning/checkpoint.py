"""Where a tuning stands, in one file that is written whole; and its losses, a line a step."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import safe_open
from safetensors.torch import save_file

_FILE: Final = "checkpoint"
"""Without a suffix: a folder of ``hf://`` is what its safetensors are."""
LOSSES: Final = "losses.jsonl"


def write_checkpoint(folder: Path, tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any]) -> None:
    """Write ``tensors`` and ``about``, which is JSON, in place of the checkpoint before."""
    part = folder / f"{_FILE}.part"
    save_file(dict(tensors), part, metadata={"about": json.dumps(about)})
    with part.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(part, folder / _FILE)


def read_checkpoint(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """Return the tensors of the checkpoint and what was written with them; None where there is none."""
    if not (folder / _FILE).exists():
        return None
    with safe_open(folder / _FILE, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["about"])  # noqa: SIM118 # no dict


def remove_checkpoint(folder: Path) -> None:
    """Remove the checkpoint, if there is one."""
    for name in (_FILE, f"{_FILE}.part"):
        (folder / name).unlink(missing_ok=True)


def keep_losses(folder: Path, *, to: int) -> list[dict[str, Any]]:
    """Cut the file of losses behind step ``to`` and return what is left: a run that died was further than that."""
    file = folder / LOSSES
    lines = file.read_text().splitlines() if file.exists() else []
    kept = [line for line in map(_read, lines) if line.get("step", to + 1) <= to]
    file.write_text("".join(f"{json.dumps(line)}\n" for line in kept))
    return kept


def _read(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:  # cut in the middle
        return {}
    return found if isinstance(found, dict) else {}
