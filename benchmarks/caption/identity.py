"""Does each row get its own answer? The server answers with the hash of the image that it received.

One request in twenty fails at first, the table lies in more parts than there are tasks, all workers are killed three
times, and Spark is asked to speculate.
"""

import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psutil
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from benchmarks.caption.servers import Server, serving
from benchmarks.samples import add_samples
from lakehouse.lake import Lake, open_lake
from schemas import TABLES
from schemas.silver import DESCRIPTIONS, SAMPLES

ROWS: Final = 100_000
_PARTS: Final = 8
_SUBMIT: Final = ("--conf", "spark.speculation=true", "--conf", "spark.sql.files.maxPartitionBytes=8m")
_KILLS: Final = 3


def measure(folder: Path, spark: SparkSession) -> dict[str, Any]:
    """Return the rows, and how many of them have an answer about another image or none."""
    root, log = str(folder / "identity"), folder / "identity.jsonl"
    lake = open_lake(root, spark=spark, tables=TABLES, run_id="bench")
    for part in range(_PARTS):
        add_samples(lake, ROWS // _PARTS, image_bytes=1_000, start=part * (ROWS // _PARTS))
    with serving(log=log, flags=("--faults", "0.05")) as server:
        _describe(root, server)
        asked = len(server.served())
    return {"identity_rows": lake.read(SAMPLES).count(), "identity_mismatches": _mismatches(lake), "requests": asked}


def _describe(root: str, server: Server) -> None:
    command = ["spark-submit", "--master", "local[2,8]", *_SUBMIT, "jobs/describe_images.py"]
    flags = ["--lake", root, "--model", server.model, "--max-in-flight", "64"]
    path = str(Path(sys.executable).parent / command[0])
    with subprocess.Popen([path, *command[1:], *flags]) as run:
        threading.Thread(target=_kill_workers, args=(run.pid, server), daemon=True).start()
        if run.wait():
            raise RuntimeError(f"the job ended with {run.returncode}")


def _kill_workers(run: int, server: Server) -> None:
    for kill in range(_KILLS):
        while len(server.served()) < ROWS * (kill + 1) // (_KILLS + 1):
            time.sleep(1)
        family = psutil.Process(run).children(recursive=True)
        workers = [one for one in family if "pyspark.daemon" in " ".join(one.cmdline())]
        # The daemon is the oldest; some of those that it has forked ask.
        for worker in sorted(workers, key=lambda one: one.create_time())[1:]:
            with suppress(psutil.NoSuchProcess):
                worker.kill()


def _mismatches(lake: Lake) -> int:
    samples = lake.read(SAMPLES).select("sample_id", "image_id")
    described = lake.read(DESCRIPTIONS).select("sample_id", "long_positive")
    said = F.concat(F.lit("The image shows "), F.col("image_id"), F.lit("."))
    both = samples.join(described, on="sample_id", how="full_outer")
    return both.where(~F.col("long_positive").eqNullSafe(said)).count()
