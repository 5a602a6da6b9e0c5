"""The one place that configures Spark: Delta, Arrow batches, checksums, redaction, quiet logs, loopback only."""

import atexit
import logging
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyspark.logger import PySparkLogger
from pyspark.sql import SparkSession

from lakehouse.errors import MissingPart
from lakehouse.jars import JARS, jars_folder

_DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    # A lost acknowledgement must not append twice; off by default in Delta.
    "spark.databricks.delta.commit.idempotencyCheck.enabled": "true",
}
_SAFE = {
    # Without it 43 of 60 flipped bits in Parquet pages were read as good data (object stores have no .crc files).
    "spark.hadoop.parquet.page.verify-checksum.enabled": "true",
    "spark.redaction.regex": r"(?i)secret|password|passwd|token|api[._-]?key|access[._-]?key|credential|bearer|auth",
    "spark.redaction.string.regex": r"(?i)(sk-[a-z0-9_-]{8,}|bearer\s+\S+|://[^/\s:@]+:[^/\s@]+@)",
    # A speculative copy of a task that asks a paid model would pay twice.
    "spark.speculation": "false",
}
_FAST = {
    # Batches by bytes, not by rows: 1 MB images would otherwise arrive ten thousand at a time.
    "spark.sql.execution.arrow.maxBytesPerBatch": "32m",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.session.timeZone": "UTC",
    # Batches ask the same questions again: Spark's 100 compiled ones are too few for even one batch of one job.
    "spark.sql.codegen.cache.maxEntries": "2000",
}
_SMALL = {
    # Delta's default of 50 tasks a snapshot and Spark's of 200 a shuffle are for clusters.
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.sql.shuffle.partitions": "4",
}
_LOCAL = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.catalogImplementation": "in-memory",
    # Each stage that ends has the whole plan told anew, for a page that nobody can open here.
    "spark.sql.ui.explainMode": "simple",
    # What the page would have shown is not kept either: a thousand plans are a gigabyte.
    "spark.sql.ui.retainedExecutions": "10",
    "spark.ui.retainedJobs": "100",
    "spark.ui.retainedStages": "100",
    # Each table's snapshot holds its plans for an hour: enough for one lake, not for all that a day of tests makes.
    "spark.databricks.delta.delta.log.cacheSize": "32",
    **_SMALL,
    # Never used, but Spark would make a folder of this name wherever a job is started.
    "spark.sql.warehouse.dir": str(Path(tempfile.gettempdir()) / "spark-warehouse"),
    # Small files are many on one machine: 4 MB of assumed cost a file would make hundreds of tasks of them.
    "spark.sql.files.openCostInBytes": "65536",
}
_CHATTY = ("SQLQueryContextLogger", "DataFrameQueryContextLogger")
"""PySpark's loggers that print each bad query, stack and all, before raising the error that says the same."""
_JAVA = 17


def connect(app: str, *, logs: str | None = None) -> SparkSession:
    """Return the running session, or start one: on the master that spark-submit chose, else on this machine.

    ``logs`` is a folder for Spark's own log on this machine; without it Spark logs as the platform configures it.
    """
    builder = SparkSession.builder.appName(app)
    for key, value in {**_DELTA, **_SAFE, **_FAST}.items():
        builder = builder.config(key, value)
    if not _is_submitted():
        check_java()
        _check_jars()
        for key, value in {**_LOCAL, **_this_machine(logs)}.items():
            builder = builder.config(key, value)
    # An executor of another Python than the driver's cannot read what the driver pickles.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    for name in _CHATTY:
        PySparkLogger.getLogger(name).setLevel(logging.CRITICAL)
    _quiet_py4j()
    with _stderr_to(logs):
        session = builder.getOrCreate()
    if _is_submitted():
        session.sparkContext.setLogLevel("WARN")
        if str(session.conf.get("spark.master")).startswith("local"):
            for key, value in _SMALL.items():
                session.conf.set(key, value)
        # Left to the JVM's own end, executors are lost one after another, with hundreds of lines about each.
        atexit.register(session.stop)
    return session


def _quiet_py4j() -> None:
    """Keep off the console what py4j says of an error that is raised all the same: at Ctrl-C 200 lines."""
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    logging.getLogger().addFilter(_is_not_py4j)


def _is_not_py4j(record: logging.LogRecord) -> bool:
    # Some of it goes through the root logger, which tells by no name whose it is.
    return "py4j" not in record.pathname


@contextmanager
def row_groups_of(session: SparkSession, rows: int) -> Iterator[None]:
    """Write Parquet with at most ``rows`` rows a row group inside the block: what a trainer reads at a time."""
    key = "parquet.block.row.count.limit"
    session.conf.set(key, str(rows))
    try:
        yield
    finally:
        session.conf.unset(key)


def task_slots(session: SparkSession) -> int:
    """Return how many tasks run at one time."""
    return max(1, int(session.sparkContext.defaultParallelism))


def is_one_machine(session: SparkSession) -> bool:
    """Say whether driver and tasks are one process, in which Spark schedules no GPUs."""
    return re.match(r"local(\[|$)", str(session.conf.get("spark.master"))) is not None


def driver_addresses(session: SparkSession) -> tuple[str, str]:
    """Return the address at which executors reach the driver, and the one that it listens on: in Kubernetes another."""
    host = str(session.conf.get("spark.driver.host"))
    return host, str(session.conf.get("spark.driver.bindAddress", host))


def check_java() -> None:
    """Raise MissingPart, with what to install, unless Java 17 or newer answers."""
    java = _java()
    advice = f"install Java {_JAVA} (Debian and Ubuntu: apt-get install openjdk-17-jre-headless)"
    if java is None:
        home = os.environ.get("JAVA_HOME")
        raise MissingPart(f"no java found {f'in JAVA_HOME, {home!r}' if home else 'on PATH'}: {advice}")
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    found = re.search(r'version "(\d+)(?:\.(\d+))?', answer.stderr + answer.stdout)
    if found is None:
        raise MissingPart(f"{java} does not say its version: {advice}")
    major = int(found[2] or 0) if found[1] == "1" else int(found[1])
    if major < _JAVA:
        raise MissingPart(f"{java} is Java {major}, Spark needs {_JAVA} or newer: {advice} or point JAVA_HOME to it")


@contextmanager
def _stderr_to(logs: str | None) -> Iterator[None]:
    # The JVM, and the Python workers it starts, inherit standard error; what they print there belongs to the log.
    if logs is None or _is_submitted():
        yield
        return
    Path(logs).mkdir(parents=True, exist_ok=True)
    sys.stderr.flush()
    kept = os.dup(2)
    with (Path(logs) / "jvm.log").open("ab") as log:
        os.dup2(log.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _java() -> str | None:
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=os.path.join(home, "bin")) if home else shutil.which("java")


def _check_jars() -> None:
    missing = [name for name in JARS if not (jars_folder() / name).exists()]
    if missing:
        raise MissingPart(f"Spark lacks {', '.join(missing)}: run `python -m lakehouse.jars` once")


def _is_submitted() -> bool:
    # spark-submit has started the JVM already and says where its gateway listens.
    return "PYSPARK_GATEWAY_PORT" in os.environ


def _this_machine(logs: str | None) -> dict[str, str]:
    settings = {"spark.master": "local[*,4]", "spark.driver.memory": f"{_heap_gb()}g"}
    # On one machine the JVM plans much and computes little: what C2 compiles is seldom run often enough to pay for it.
    # C1 alone would get a code cache of 48 MB, which one run of the whole path overfills.
    options = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"
    if logs is not None:
        file = Path(__file__).with_name("log4j2.properties")
        # Spark's launcher splits the options as a shell would.
        log = shlex.quote(f"-Dlakehouse.log={logs}/spark.log")
        options += f" -Dlog4j2.configurationFile={file.as_uri()} {log}"
    return {**settings, "spark.driver.extraJavaOptions": options}


def _heap_gb() -> int:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return int(min(8, max(1, memory // 6)))
