"""Time the demo from nothing, a second time with nothing new, and with 1 % new pairs: build/bench/demo.json."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import deltalake

from demo import openclipart
from schemas import TABLES

OUT = Path("build/bench")
NEW_SHARE = 0.01


def main(_: Sequence[str] = ()) -> int:
    """Run the three, print the figures and write them."""
    pairs = openclipart.fetch(OUT / "openclipart")
    source, late = _split(pairs, OUT / "pairs")
    shutil.rmtree(OUT / "demo", ignore_errors=True)
    figures: dict[str, Any] = {"pairs": source, "new_pairs": len(late)}
    figures["first"] = _demo()
    before = _rows()
    figures["second"] = _demo() | {"new_rows": _grown(before)}
    for line, image in late:
        _add(OUT / "pairs", line, image, pairs)
    figures["one_percent_new"] = _demo() | {"new_rows": _grown(before)}
    (OUT / "demo.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))
    return 0


def _split(pairs: Path, folder: Path) -> tuple[int, list[tuple[str, str]]]:
    """Fill ``folder`` with all pairs but the last of each hundred; return how many, and the lines left out."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "metadata.jsonl").touch()
    lines = [(line, json.loads(line)["file_name"]) for line in (pairs / "metadata.jsonl").read_text().splitlines()]
    every = round(1 / NEW_SHARE)
    late = lines[every - 1 :: every]
    left_out = {name for _, name in late}
    kept = [(line, name) for line, name in lines if name not in left_out]
    for line, name in kept:
        _add(folder, line, name, pairs)
    return len(kept), late


def _add(folder: Path, line: str, image: str, pairs: Path) -> None:
    """Add one pair: the image by a hard link, the text as one more line of the captions file."""
    target = folder / image
    target.parent.mkdir(parents=True, exist_ok=True)
    os.link(os.path.realpath(pairs / image), target)
    with (folder / "metadata.jsonl").open("a") as file:
        file.write(line + "\n")


def _demo() -> dict[str, Any]:
    begun = time.monotonic()
    command = [sys.executable, "-m", "demo.run", "--out", str(OUT / "demo"), "--data", str(OUT / "pairs")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    summary = json.loads((OUT / "demo" / "summary.json").read_text())
    kept = ("pairs_ingested", "pairs_selected", "retrieval", "seconds")
    return {"wall_seconds": round(time.monotonic() - begun, 1), **{name: summary[name] for name in kept}}


def _rows() -> dict[str, int]:
    root = OUT / "demo" / "lake"
    paths = {table.name: str(root.joinpath(*table.name.split("."))) for table in TABLES}
    there = {name: path for name, path in paths.items() if deltalake.DeltaTable.is_deltatable(path)}
    return {name: deltalake.DeltaTable(path).to_pyarrow_dataset().count_rows() for name, path in there.items()}


def _grown(before: dict[str, int]) -> dict[str, int]:
    return {name: rows - before.get(name, 0) for name, rows in _rows().items() if rows != before.get(name, 0)}


if __name__ == "__main__":
    sys.exit(main())
