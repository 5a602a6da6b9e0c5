"""Fetch Delta's jars once, at set-up, into the Spark that is installed here: `python -m lakehouse.jars`."""

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from lakehouse.errors import LakehouseError, MissingPart
from lakehouse.outcome import not_installed

DELTA = "4.4.0"
PACKAGE = f"io.delta:delta-spark_4.2_2.13:{DELTA}"
JARS = (f"delta-spark_4.2_2.13-{DELTA}.jar", f"delta-storage-{DELTA}.jar")
# The package pulls 33 jars; 31 of them repeat, or contradict, what Spark brings (Hadoop 3.4 beside Spark's 3.5).
_EXCLUDED = "org.*:*,com.*:*,antlr:*,commons-*:*,io.unitycatalog:*,io.delta:delta-kernel-*"


def jars_folder() -> Path:
    """Return the folder of Spark's own jars; raise MissingPart where Spark is not installed."""
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise MissingPart(not_installed("pyspark"))
    return Path(spec.origin).with_name("jars")


def install() -> list[str]:
    """Put the missing jars beside Spark's own and return their names; an empty list when nothing was missing."""
    folder = jars_folder()
    missing = [name for name in JARS if not (folder / name).exists()]
    if missing:
        with tempfile.TemporaryDirectory() as scratch:
            _resolve(Path(scratch))
            for name in missing:
                shutil.copy(Path(scratch) / "jars" / f"io.delta_{name}", folder / name)
    return missing


def _resolve(scratch: Path) -> None:
    nothing = scratch / "nothing.py"
    nothing.write_text("")
    submit = jars_folder().parent / "bin" / "spark-submit"
    options = ["--conf", f"spark.jars.ivy={scratch}", "--packages", PACKAGE, "--exclude-packages", _EXCLUDED]
    command = [str(submit), *options, str(nothing)]
    done = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, timeout=600, check=False, env=_environment()
    )
    if done.returncode or not (scratch / "jars" / f"io.delta_{JARS[0]}").exists():
        advice = "a local Maven folder (~/.m2/repository) that holds poms without their jars is a known cause"
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise MissingPart(f"cannot fetch {PACKAGE} from Maven Central: {last}; {advice}")


def _environment() -> dict[str, str]:
    return {**os.environ, "PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}


def main() -> int:
    """Fetch what is missing and say so."""
    from lakehouse.session import check_java

    try:
        check_java()
        fetched = install()
    except LakehouseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"fetched {', '.join(fetched)}" if fetched else "Delta's jars are in place")
    return 0


if __name__ == "__main__":
    sys.exit(main())
