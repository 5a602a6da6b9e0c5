"""The trainings that a lake holds: what train_clip and evaluate_clip left beside the checkpoints."""

import json
from pathlib import Path
from typing import Any

from lakehouse.lake_root import is_local
from udfs.report.values import Training


def read_trainings(root: str) -> list[Training]:
    """Return the finished trainings of the lake at ``root`` by name; none of a lake in a bucket."""
    if not is_local(root):
        return []
    files = sorted(Path(root).glob("_models/*/training.json"))
    return [Training(file.parent.name, _read(file), _read(file.with_name("retrieval.json"))) for file in files]


def _read(file: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return facts
