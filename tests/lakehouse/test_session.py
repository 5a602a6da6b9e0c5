"""A session starts only where it can work, and says what is missing where it cannot."""

from pathlib import Path

import pytest

from lakehouse.errors import MissingPart
from lakehouse.session import check_java, connect


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
    with pytest.raises(MissingPart, match="no java found on PATH or in JAVA_HOME: install Java 17"):
        check_java()


@pytest.mark.spark
def test_secrets_are_redacted(spark: object) -> None:
    session = connect("again")
    shown = {row.key: row.value for row in session.sql("SET -v").select("key", "value").collect()}
    session.conf.set("spark.my.api_key", "sk-very-secret")
    rows = session.sql("SET").where("key = 'spark.my.api_key'").collect()
    assert [row.value for row in rows] == ["*********(redacted)"]
    assert shown


@pytest.mark.spark
def test_page_checksums_are_verified(spark: object) -> None:
    conf = connect("again").conf
    assert conf.get("spark.hadoop.parquet.page.verify-checksum.enabled") == "true"
