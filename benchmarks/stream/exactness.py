"""Two hundred epochs, read by worlds of changing size and numbers of threads, killed again and again."""

import json
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from benchmarks.stream.lakes import ids_of, make_lake
from benchmarks.stream.reader import last_step

ROWS: Final = 4080
STEP: Final = 240
"""Rows a step: as many for each process of every world, and no row is left over at the end of an epoch."""
EPOCHS: Final = 200
SIZES: Final = (1, 2, 3, 4, 8)
LONGEST_LIFE: Final = 12.0
"""Seconds after which a reader is killed at the latest."""


def measure(folder: Path) -> dict[str, Any]:
    """Return how many epochs had each row exactly once, and each step the rows that an undisturbed one has."""
    lake, log, undisturbed = folder / "lake", folder / "killed.jsonl", folder / "undisturbed.jsonl"
    make_lake(lake, rows=ROWS, side=48)
    _read(lake, undisturbed, size=1, threads=2, seconds=None)
    draw, lives, kills = random.Random(0), [], 0  # no secret
    while (last := last_step(log)) is None or last["epoch"] < EPOCHS - 1 or last["state"]["position"] < ROWS:
        life = {"size": draw.choice(SIZES), "threads": draw.choice((1, 2, 4))}
        kills += _read(lake, log, **life, seconds=draw.uniform(2.0, LONGEST_LIFE))
        lives.append(life["size"])
    killed, whole = _epochs(log), _epochs(undisturbed)
    wanted = Counter(ids_of(lake))
    return {
        "epochs": len(killed),
        "rows_of_an_epoch": ROWS,
        "kills": kills,
        "lives_by_world_size": dict(sorted(Counter(lives).items())),
        "epochs_with_every_row_once": sum(
            Counter(one for step in steps for one in step) == wanted for steps in killed.values()
        ),
        "epochs_with_the_steps_of_one_process": sum(
            [sorted(step) for step in steps] == [sorted(step) for step in whole[epoch]]
            for epoch, steps in killed.items()
        ),
    }


def _read(lake: Path, log: Path, *, size: int, threads: int, seconds: float | None) -> bool:
    """Read until all epochs are there; return whether the reader was killed, after so many seconds, before that."""
    flags = {"size": size, "threads": threads, "rows": STEP, "until": EPOCHS}
    given = [text for name, value in flags.items() for text in (f"--{name}", str(value))]
    begun = log.stat().st_size if log.exists() else 0
    with subprocess.Popen([sys.executable, "-m", "benchmarks.stream.reader", str(lake), str(log), *given]) as reader:
        while seconds is not None and reader.poll() is None and (not log.exists() or log.stat().st_size == begun):
            time.sleep(0.01)  # a life that does nothing proves nothing
        try:
            reader.wait(seconds)
        except subprocess.TimeoutExpired:
            reader.kill()
            return True
    if reader.returncode:
        raise RuntimeError(f"a reader in a world of {size} ended with {reader.returncode}")
    return False


def _epochs(log: Path) -> dict[int, list[list[str]]]:
    """Return the rows of each step, by epoch."""
    epochs: dict[int, list[list[str]]] = {}
    with log.open() as lines:
        for line in lines:
            step = json.loads(line)
            epochs.setdefault(step["epoch"], []).append(step["ids"])
    return epochs
