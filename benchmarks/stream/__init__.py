"""What the trainer's stream gives: every row once an epoch, whatever is killed; how fast; and what its texts pay.

`make bench NAME=stream` measures all of it; `NAME="stream exactness"` one part.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

OUT: Final = Path("build/bench")

PARTS: Final = ("exactness", "rates", "peers", "losses")
"""Modules of this package, each with a function ``measure``: what they start in other processes are modules too."""


def main(names: Sequence[str] = ()) -> int:
    """Run the parts that are named, or all; print the figures, and put them into build/bench/stream.json."""
    OUT.mkdir(parents=True, exist_ok=True)
    for name in names or PARTS:
        _keep(found := {name: _part(name)})
        print(json.dumps(found, indent=2))
    return 0


def _keep(found: Mapping[str, Any]) -> None:
    """Put the figures of a part in the place of its earlier ones, before the next part begins."""
    file = OUT / "stream.json"
    before = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**before, **found}, indent=2) + "\n")


def _part(name: str) -> dict[str, Any]:
    folder = OUT / "stream" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    found: dict[str, Any] = import_module(f"benchmarks.stream.{name}").measure(folder)
    return found
