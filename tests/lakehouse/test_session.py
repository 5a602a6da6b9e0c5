"""A session starts only where it can work, and says what is missing where it cannot."""

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lakehouse.errors import MissingPart
from lakehouse.session import check_java
from tests.lakehouse.stream.lakes import flip_a_byte

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).parents[2]


def fake_java(folder: Path, version: str) -> str:
    (folder / "bin").mkdir(parents=True)
    java = folder / "bin" / "java"
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2020-01-01' >&2\n")
    java.chmod(0o755)
    return str(folder)


@pytest.mark.parametrize(("version", "found"), [("11.0.2", "11"), ("1.8.0_292", "8"), ("16", "16")])
def test_an_old_java_is_refused_with_its_version(
    version: str, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", fake_java(tmp_path / "jdk", version))
    with pytest.raises(MissingPart, match=f"is Java {found}, Spark needs 17 or newer: install Java 17"):
        check_java()


@pytest.mark.parametrize("version", ["17.0.15", "21", "25-ea"])
def test_a_new_java_will_do(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", fake_java(tmp_path / "jdk", version))
    assert check_java() is None  # type: ignore[func-returns-value]


def test_no_java_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(MissingPart, match=f"no java found in JAVA_HOME, '{tmp_path}': install Java 17"):
        check_java()
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingPart, match="no java found on PATH: install Java 17"):
        check_java()


@pytest.mark.spark
@pytest.mark.parametrize("name", ["api_key", "api.key", "access-key", "passwd", "credential", "Bearer"])
def test_a_setting_that_is_named_like_a_secret_is_shown_to_nobody(name: str, spark: "SparkSession") -> None:
    key = f"spark.my.{name}"
    spark.conf.set(key, "very secret")
    try:
        rows = spark.sql("SET").where(f"key = '{key}'").collect()
    finally:
        spark.conf.unset(key)
    assert [row.value for row in rows] == ["*********(redacted)"]


@pytest.mark.spark
@pytest.mark.parametrize("secret", ["sk-abcdefgh1", "Bearer abc.def", "s3a://me:secret@bucket"])
def test_a_text_that_looks_like_a_secret_is_left_out_of_plans(secret: str, spark: "SparkSession") -> None:
    plan = spark.sql(f"EXPLAIN SELECT id FROM range(3) WHERE string(id) = '{secret} is it'").collect()[0][0]
    assert secret not in plan
    assert "*********(redacted)" in plan


@pytest.mark.spark
def test_a_flipped_bit_in_a_file_is_not_read_as_good_data(spark: "SparkSession", tmp_path: Path) -> None:
    spark.range(1000).coalesce(1).write.option("compression", "none").parquet(str(tmp_path / "rows"))
    (file,) = (tmp_path / "rows").glob("*.parquet")
    flip_a_byte(file, row_group=0, column="id")
    # A local disk has checksums of whole files beside them; object stores do not.
    file.with_name(f".{file.name}.crc").unlink()
    with pytest.raises(Exception, match="CRC checksum verification failed"):
        spark.read.parquet(str(tmp_path / "rows")).selectExpr("sum(id)").collect()


@pytest.mark.slow
@pytest.mark.spark
def test_a_session_starts_with_its_log_in_a_folder_of_any_name(tmp_path: Path) -> None:
    logs = tmp_path / "it's a lake" / "_logs"
    code = f"from lakehouse.session import connect; connect('tests', logs={str(logs)!r}).range(1).collect()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {file.name for file in logs.iterdir()} == {"jvm.log", "spark.log"}
