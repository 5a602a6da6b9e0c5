"""What captioning by a chat server takes: CPU of the client, how busy the server is kept, and what is paid twice."""

import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.caption import client_cost, server_use

OUT = Path("build/bench")


def main(argv: Sequence[str] = ()) -> int:
    """Run all parts, print the figures and write them to build/bench/caption.json."""
    OUT.mkdir(parents=True, exist_ok=True)
    figures = {**client_cost.measure(), **server_use.measure(OUT / "caption")}
    (OUT / "caption.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))
    return 0
