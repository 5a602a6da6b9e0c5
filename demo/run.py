"""`make demo`: get real pairs, run the whole path, print a table of results, leave a lake and a report to look at."""

import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from demo import openclipart, photographs
from demo.summary import print_table, summarise, write_summary
from jobs import run_pipeline
from lakehouse.cli import parse
from lakehouse.lake import open_lake
from lakehouse.lake_root import normal_root
from lakehouse.lock import hold
from lakehouse.outcome import Counts, finish
from lakehouse.session import connect
from lakehouse.sources import check_source
from schemas import TABLES


@dataclass(frozen=True)
class Config:
    """Run the demo."""

    out: Annotated[str, "folder for all that is made; by default build/demo, build/demo-NAME for your NAME"] = ""
    data: Annotated[str, "your own folder of images, tars or Parquet; by default Debian's openclipart is fetched"] = ""
    max_steps: Annotated[int, "stop each training after so many steps; 0 trains as long as the recipe says"] = 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    config = parse(Config, argv, prog="demo")
    out = Path(config.out or folder_for(config.data))
    lake = normal_root(str(out / "lake"))
    return finish("demo", lake, lambda logs: _run(config, out, lake, logs))


def folder_for(data: str) -> str:
    """Return where a demo of ``data`` leaves its things: a person's own pairs do not go in with the public ones.

    >>> folder_for(""), folder_for("/home/ann/my pictures/")
    ('build/demo', 'build/demo-my-pictures')
    """
    name = re.sub(r"\W+", "-", Path(data).resolve().name).strip("-")
    return f"build/demo-{name or 'own'}" if data else "build/demo"


def _run(config: Config, out: Path, lake: str, logs: str | None) -> Counts:
    begun = time.monotonic()
    if config.data:
        check_source(config.data, "auto")  # before a folder is made for what there is not
    # The lake is ours before anything is fetched: a second demo at once is told so at its start.
    with hold(lake, "make demo"):
        source = config.data or str(_pairs(out / "data"))
        seconds = {"get_data": time.monotonic() - begun}
        started = time.monotonic()
        report = str(out / "report.html")
        path = run_pipeline.Config(lake, source, report=report, max_steps=config.max_steps)
        run_pipeline.check(path)
        opened = open_lake(lake, spark=connect("demo", logs=logs), tables=TABLES, run_id="")
        seconds["start_spark"] = time.monotonic() - started
        for done in run_pipeline.run(opened, path):
            seconds[done.name.replace(" ", "_")] = done.seconds
        seconds["total"] = time.monotonic() - begun
        summary = summarise(opened, seconds)
        write_summary(summary, out / "summary.json")
    print_table(summary, report=report, lake=str(out / "lake"))
    return {"pairs_ingested": summary["pairs_ingested"], "selected": summary["pairs_selected"]}


def _pairs(folder: Path) -> Path:
    try:
        return openclipart.fetch(folder / "openclipart")
    except openclipart.NotAvailable as reason:
        print(f"note: {reason}; the demo goes on with the few photographs of scikit-image instead", file=sys.stderr)
        return photographs.fetch(folder / "photographs")


if __name__ == "__main__":
    sys.exit(main())
