"""`make test-petastorm`: petastorm's own tests, from its wheel, through the bridge; the figures go to build/bench/."""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import time
import venv
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lakehouse.stream.bridge import SPARK_CONF, SUPPORTED
from tests.petastorms_own.known import ASKED, KNOWN_FAILURES, MAY_FAIL, NOT_COLLECTED
from tests.petastorms_own.plugin import OUTCOMES

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "petastorm"
FIGURES = ROOT / "build" / "bench" / "petastorm.json"
PACKAGES = ("petastorm", "pyarrow", "numpy", "pandas", "pyspark", "torch", "pytest")
SPARK = {
    **SPARK_CONF,
    "spark.ui.enabled": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.memory": "2g",
}


def main(arguments: list[str]) -> int:
    """Run all of petastorm's tests, or those that pytest's ``arguments`` leave; return pytest's exit status."""
    outcomes = BUILD / "outcomes.json"
    outcomes.unlink(missing_ok=True)
    began = time.monotonic()
    status = run(environment(), outcomes, arguments)
    if not outcomes.exists():
        return status or 1
    figures = figures_of(json.loads(outcomes.read_text()), seconds=time.monotonic() - began)
    show(figures)
    if not arguments:
        FIGURES.parent.mkdir(parents=True, exist_ok=True)
        FIGURES.write_text(json.dumps(figures, indent=2) + "\n")
        print(f"wrote {FIGURES.relative_to(ROOT)}")
    return status


def environment() -> Path:
    """Return the Python of an environment of its own with what petastorm's tests import; it is made once."""
    folder, pins = BUILD / "venv", HERE / "requirements.txt"
    mark, digest = folder / "installed", hashlib.sha256(pins.read_bytes()).hexdigest()
    python = folder / "bin" / "python"
    if mark.exists() and mark.read_text() == digest:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, symlinks=True)
    uv = shutil.which("uv", path=Path(sys.executable).parent)
    tool = (
        [uv, "pip", "install", "--python", python]
        if uv
        else [sys.executable, "-m", "pip", "--python", python, "install"]
    )
    subprocess.run([*map(str, tool), "-q", "--no-deps", "-r", str(pins)], check=True, timeout=900)
    (site,) = (folder / "lib").glob("python*/site-packages")
    (site / "project.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    mark.write_text(digest)
    return python


def run(python: Path, outcomes: Path, arguments: list[str]) -> int:
    """Run pytest in a folder of its own, for petastorm's tests leave things where they run."""
    work = BUILD / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    conf = " ".join(f"--conf {key}={value}" for key, value in SPARK.items())
    environ = {
        **os.environ,
        "PETASTORM_OUTCOMES": str(outcomes),
        "PYSPARK_PYTHON": str(python),
        "PYSPARK_SUBMIT_ARGS": f"{conf} pyspark-shell",
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, HERE / "without"))),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    command = [python, "-m", "pytest", "-c", HERE / "pytest.ini", "--rootdir", BUILD, "--basetemp", work / "temp"]
    command += ["-p", "tests.petastorms_own.plugin", *arguments, "petastorm"]
    return subprocess.run(list(map(str, command)), cwd=work, env=environ, check=False).returncode


def figures_of(outcomes: dict[str, str], *, seconds: float) -> dict[str, Any]:
    """Return counts and shares by module, of the modules that matter most, and of all."""
    modules: dict[str, list[str]] = {}
    for test, outcome in sorted(outcomes.items()):
        modules.setdefault(test.partition("::")[0], []).append(outcome)
    return {
        "what": f"tests of petastorm {SUPPORTED}'s own wheel through lakehouse.stream.bridge, without TensorFlow",
        "asked_for": _counts([outcome for name in ASKED for outcome in modules.get(name, [])]),
        "all": _counts(list(outcomes.values())),
        "modules": {name: _counts(found) for name, found in modules.items()},
        "known_failures": {
            test: why for test, why in {**KNOWN_FAILURES, **MAY_FAIL}.items() if outcomes.get(test) == "known_failure"
        },
        "not_collected": NOT_COLLECTED,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "seconds": round(seconds),
    }


def _counts(outcomes: list[str]) -> dict[str, Any]:
    counts = {name: outcomes.count(name) for name in OUTCOMES if name in outcomes}
    ran = len(outcomes) - counts.get("needs_tensorflow", 0) - counts.get("skipped", 0)
    return {**counts, "ran": ran, "share": round(counts.get("passed", 0) / ran, 4) if ran else None}


def show(figures: dict[str, Any]) -> None:
    """Print a line a module."""
    lines = {**figures["modules"], "asked for": figures["asked_for"], "all": figures["all"]}
    for name, counts in lines.items():
        others = ", ".join(f"{counts[key]} {key.replace('_', ' ')}" for key in OUTCOMES[1:] if key in counts)
        share = "     -" if counts["share"] is None else f"{counts['share']:6.1%}"
        print(f"{name:48} {counts.get('passed', 0):3} of {counts['ran']:3} {share}  {others}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
