"""What captioning by a chat server takes: CPU of the client, how busy the server is kept, and what is paid twice.

`make bench NAME=caption` measures all of it, in about half an hour; `NAME="caption lookup"` one part.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pyspark.sql import SparkSession

from benchmarks.caption import budget, client_cost, identity, kills, lookup, server_use
from lakehouse.session import connect

OUT: Final = Path("build/bench")

PARTS: Final[Mapping[str, Callable[[Path, SparkSession], dict[str, Any]]]] = {
    "server_use": server_use.measure,
    "kills": kills.measure,
    "lookup": lookup.measure,
    "budget": budget.measure,
    "identity": identity.measure,
}
"""Those that run through Spark."""


def main(names: Sequence[str] = ()) -> int:
    """Run the parts that are named, or all; print the figures, and put them into build/bench/caption.json."""
    OUT.mkdir(parents=True, exist_ok=True)
    wanted = names or ("client_cost", *PARTS)
    found = {name: _part(name) for name in wanted}
    file = OUT / "caption.json"
    before = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(
        json.dumps({**before, **{k: v for part in found.values() for k, v in part.items()}}, indent=2) + "\n"
    )
    print(json.dumps(found, indent=2))
    return 0


def _part(name: str) -> dict[str, Any]:
    if name == "client_cost":
        return client_cost.measure()
    folder = OUT / "caption" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return PARTS[name](folder, connect("bench", logs=str(folder / "_logs")))
