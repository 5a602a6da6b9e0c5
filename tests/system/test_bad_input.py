"""Bad input meets a typed reject or one clear line: never a stack trace, never a silent loss."""

import os
import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import evaluate_clip, ingest_pairs, measure_pairs, query_lakehouse, train_clip
from lakehouse.lake_mark import FORMAT, MARK, mark_text
from lakehouse.lock import hold
from lakehouse.rejects import RAW_BYTES
from lakehouse.small_rows import read_rows
from schemas.bronze import PAIRS
from schemas.ops import REJECTS, RUNS
from tests.system.bad_sources import Fates, bad_folder, bad_parquet, bad_tars, image, one_pair
from tests.system.said import Said, call, python
from udfs.reasons import REASONS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SOURCES: dict[str, Callable[[Path], Fates]] = {"folder": bad_folder, "tars": bad_tars, "parquet": bad_parquet}


@dataclass(frozen=True)
class Taken:
    """A source that was taken in: what should have become of its rows, what did, and what the command said."""

    expected: Fates
    found: Counter[tuple[str, str | None]]
    said: Said


@pytest.fixture(scope="module")
def lake(spark: "SparkSession", tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Taken]]:
    base = tmp_path_factory.mktemp("bad")
    root = base / "lake"
    expected = {name: write(base / name) for name, write in SOURCES.items()}
    said = {name: ingest(root, base / name) for name in SOURCES}
    taken = {name: Taken(expected[name], _found(root, base / name), said[name]) for name in SOURCES}
    return root, taken


def ingest(lake: Path, source: object, *flags: object) -> Said:
    return call(ingest_pairs.JOB.main, "--lake", lake, "--source", source, *flags)


def _found(lake: Path, source: Path) -> Counter[tuple[str, str | None]]:
    pairs = [(row["source_uid"], None) for row in read_rows(str(lake), PAIRS) if row["source"] == str(source)]
    rejects = [
        (row["source_uid"], row["reason"]) for row in read_rows(str(lake), REJECTS) if row["source"] == str(source)
    ]
    return Counter([*pairs, *rejects])


def _without_offsets(rows: Counter[tuple[str, str | None]]) -> Counter[tuple[str, str | None]]:
    return Counter((re.sub(r"@[ \d]*$", "@", uid), reason) for uid, reason in rows.elements())


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.parametrize("kind", SOURCES)
def test_each_thing_has_its_fate(kind: str, lake: tuple[Path, dict[str, Taken]]) -> None:
    taken = lake[1][kind]
    assert _without_offsets(taken.found) == _without_offsets(Counter(taken.expected.items()))


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.parametrize("kind", SOURCES)
def test_no_row_is_lost_or_doubled(kind: str, lake: tuple[Path, dict[str, Taken]]) -> None:
    taken = lake[1][kind]
    good = sum(reason is None for reason in taken.expected.values())
    bad = len(taken.expected) - good
    assert taken.said.code == 0
    assert taken.said.out == f"ingest_pairs: {good + bad} read, {good} ingested, {bad} rejected\n"
    assert taken.said.shows_no_insides
    assert set(taken.found.values()) == {1}


@pytest.mark.spark
@pytest.mark.slow
def test_every_reject_says_more_than_its_reason(lake: tuple[Path, dict[str, Taken]]) -> None:
    rows = read_rows(str(lake[0]), REJECTS)
    assert {row["reason"] for row in rows} <= set(REASONS)
    unsaid = [row["source_uid"] for row in rows if not row["detail"]]
    assert unsaid == []


@pytest.mark.spark
@pytest.mark.slow
def test_a_reject_keeps_the_beginning_of_its_image(lake: tuple[Path, dict[str, Taken]]) -> None:
    source = lake[0].parent / "folder"
    raw = {row["source_uid"]: row["raw"] for row in read_rows(str(lake[0]), REJECTS) if row["source"] == str(source)}
    long = (source / "long.jpg").read_bytes()
    assert len(long) > RAW_BYTES
    assert raw["long.jpg"] == long[:RAW_BYTES]
    assert raw["words.jpg"] == (source / "words.jpg").read_bytes()


@pytest.mark.spark
@pytest.mark.slow
def test_a_second_run_rejects_nothing_again(lake: tuple[Path, dict[str, Taken]]) -> None:
    root, taken = lake
    source = root.parent / "tars"
    assert ingest(root, source).out == "ingest_pairs: nothing new\n"
    assert _found(root, source) == taken["tars"].found


@pytest.mark.spark
@pytest.mark.slow
def test_a_path_that_cannot_be_read_is_named(spark: "SparkSession", tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("x")
    expected = {
        "gone": "no such folder: '{}'",
        "gone.tar": "no such folder: '{}'",
        "file.txt": "'{}' is a file: expected a folder",
        "file.txt/below": "no such folder: '{}'",
        "link": "no such folder: '{}'",
        "circle": "no such folder: '{}'",
        "empty": "'{}' is empty",
        "texts": "no images, tars or Parquet in '{}'",
    }
    for name, message in expected.items():
        path = tmp_path / name
        assert ingest(tmp_path / "lake", path).error.startswith(f"error: {message.format(path)}")


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() == 0, reason="root may read any folder")
def test_a_folder_under_lock_is_named(spark: "SparkSession", tmp_path: Path) -> None:
    (tmp_path / "source" / "inner").mkdir(parents=True)
    (tmp_path / "source" / "good.png").write_bytes(image(1))
    (tmp_path / "source" / "inner").chmod(0)
    assert "cannot read the folder" in ingest(tmp_path / "lake", tmp_path / "source").error


@pytest.mark.spark
@pytest.mark.slow
def test_missing_columns_are_answered_with_those_there_are(spark: "SparkSession", tmp_path: Path) -> None:
    source, lake = tmp_path / "source", tmp_path / "lake"
    source.mkdir()
    pq.write_table(pa.table({"picture": pa.array([image(1)]), "words": ["x"]}), source / "a.parquet")
    assert ingest(lake, source, "--image-column", "picture").error == (
        f"error: no alt_text column in '{source}': it has 'picture', 'words'"
    )
    assert ingest(lake, source, "--text-column", "words").error == (
        f"error: no image column in '{source}': expected bytes in one of 'picture', 'words'"
    )
    misspelt = ingest(lake, source, "--image-column", "picture", "--text-column", "word")
    assert misspelt.error == f"error: no column 'word' in '{source}': it has 'picture', 'words'"
    assert "not bytes" in ingest(lake, source, "--image-column", "words", "--text-column", "words").error


@pytest.mark.spark
@pytest.mark.slow
def test_an_id_column_names_the_rows(spark: "SparkSession", tmp_path: Path) -> None:
    source, lake = tmp_path / "source", tmp_path / "lake"
    source.mkdir()
    rows = [
        ("a", image(1), "a kite", None),
        ("a", image(1), "a kite", "duplicate_pair"),
        ("a", image(2), "a boat", None),
        ("b", None, "a tree", "missing_image"),
        ("b", None, "a drum", "missing_image"),
        ("b", b"words", "a lamp", "not_an_image"),
    ]
    names, images, texts, _ = zip(*rows, strict=True)
    pq.write_table(pa.table({"key": names, "image": images, "text": texts}), source / "a.parquet")
    misspelt = ingest(lake, source, "--id-column", "keys")
    assert misspelt.error == f"error: no column 'keys' in '{source}': it has 'key', 'image', 'text'"
    fates = Counter((name, reason) for name, _, _, reason in rows)
    assert ingest(lake, source, "--id-column", "key").out == "ingest_pairs: 6 read, 2 ingested, 4 rejected\n"
    assert _found(lake, source) == fates
    shutil.rmtree(lake / "_checkpoints")
    ingest(lake, source, "--id-column", "key")
    assert _found(lake, source) == fates


def one_picture(folder: Path) -> Path:
    """Write a picture of 16 x 16 pixels with its text."""
    folder.mkdir()
    (folder / "1.png").write_bytes(image(1))
    (folder / "1.txt").write_text("a kite")
    return folder


@pytest.mark.spark
@pytest.mark.slow
def test_each_kind_of_a_mixed_folder_has_a_place_of_its_own(spark: "SparkSession", tmp_path: Path) -> None:
    source, lake = one_picture(tmp_path / "source"), tmp_path / "lake"
    assert ingest(lake, source).out == "ingest_pairs: 1 read, 1 ingested, 0 rejected\n"
    (source / "originals.tar").write_bytes(one_pair(2))
    pq.write_table(pa.table({"image": [image(3)], "text": ["x"]}), source / "a.parquet")
    assert ingest(lake, source).error == (
        f"error: '{source}' holds images ('1.png') as well as tars ('originals.tar') as well as Parquet ('a.parquet'): "
        "choose by --kind folder or --kind tar or --kind parquet"
    )
    said = {kind: ingest(lake, source, "--kind", kind).out for kind in ("folder", "tar", "parquet")}
    taken = "ingest_pairs: 1 read, 1 ingested, 0 rejected\n"
    assert said == {"folder": "ingest_pairs: nothing new\n", "tar": taken, "parquet": taken}


@pytest.mark.spark
@pytest.mark.slow
def test_a_limit_given_by_a_flag_reaches_the_check(spark: "SparkSession", tmp_path: Path) -> None:
    source, lake = one_picture(tmp_path / "source"), tmp_path / "lake"
    assert ingest(lake, source, "--max-pixels", 255).code == 0
    assert _found(lake, source) == Counter({("1.png", "too_many_pixels"): 1})


@pytest.mark.spark
@pytest.mark.slow
def test_a_parquet_file_that_is_cut_is_named(spark: "SparkSession", tmp_path: Path) -> None:
    table = pa.table({"image": pa.array([image(1)]), "text": ["x"]})
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        pq.write_table(table, tmp_path / name / "a.parquet")
    whole = (tmp_path / "first" / "a.parquet").read_bytes()
    (tmp_path / "first" / "a.parquet").write_bytes(whole[:100])
    (tmp_path / "second" / "b.parquet").write_bytes(whole[:100])
    (tmp_path / "second" / "c.parquet").symlink_to(tmp_path / "nowhere")
    lake = tmp_path / "lake"
    assert "cannot read the Parquet file 'a.parquet'" in ingest(lake, tmp_path / "first").error
    assert "cannot read the Parquet file 'c.parquet'" in ingest(lake, tmp_path / "second").error
    (tmp_path / "second" / "c.parquet").unlink()
    assert re.search(r"b\.parquet is not a Parquet file", ingest(lake, tmp_path / "second").error)
    assert {row["status"] for row in read_rows(str(lake), RUNS)} == {"failed"}


@pytest.mark.spark
@pytest.mark.slow
def test_a_lake_of_newer_code_is_left_alone(spark: "SparkSession", tmp_path: Path) -> None:
    (tmp_path / "_lakehouse.json").write_text('{"format": 99}')
    for said in (
        ingest(tmp_path, tmp_path),
        call(measure_pairs.JOB.main, "--lake", tmp_path),
        call(query_lakehouse.main, "SELECT 1", "--lake", tmp_path),
        call(train_clip.JOB.main, "--lake", tmp_path),
    ):
        assert (
            said.error
            == f"error: '{tmp_path}' has format 99, this version of the code knows up to {FORMAT}: update the code"
        )
    assert not (tmp_path / "ops").exists()
    (tmp_path / "_lakehouse.json").write_text("what?")
    assert f"expected {mark_text()}" in call(measure_pairs.JOB.main, "--lake", tmp_path).error


@pytest.mark.spark
@pytest.mark.slow
def test_a_second_job_on_the_lake_is_told_of_the_first(spark: "SparkSession", tmp_path: Path) -> None:
    (tmp_path / MARK).write_text(mark_text())
    (tmp_path / "a.txt").touch()
    with hold(str(tmp_path), "describe_images"):
        for said in (
            ingest(tmp_path, tmp_path),
            call(train_clip.JOB.main, "--lake", tmp_path),
            call(evaluate_clip.JOB.main, "--lake", tmp_path),
        ):
            assert re.search(r"is in use by describe_images \(process \d+\): wait for it, or use another", said.error)


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (None, "no java found in JAVA_HOME, {home!r}: install Java 17"),
        ("1.8.0_292", "is Java 8, Spark needs 17 or newer: install Java 17"),
        ("11.0.2", "is Java 11, Spark needs 17 or newer: install Java 17"),
    ],
)
def test_java_that_will_not_do_is_one_line(version: str | None, message: str, tmp_path: Path) -> None:
    if version is not None:
        (tmp_path / "bin").mkdir()
        java = tmp_path / "bin" / "java"
        java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2020-01-01' >&2\n")
        java.chmod(0o755)
    (tmp_path / "a.txt").touch()
    argv = ("-m", "jobs.ingest_pairs", "--lake", tmp_path / "lake", "--source", tmp_path)
    said = python(*argv, JAVA_HOME=str(tmp_path))
    assert message.format(home=str(tmp_path)) in said.error
    assert said.err.count("\n") == 1


def test_without_spark_a_job_says_what_to_install(tmp_path: Path) -> None:
    # Stands before the real one on the path and is as good as none.
    (tmp_path / "pyspark.py").write_text("raise ModuleNotFoundError(\"No module named 'pyspark'\", name='pyspark')\n")
    said = python("-m", "jobs.ingest_pairs", "--lake", tmp_path, "--source", tmp_path, PYTHONPATH=str(tmp_path))
    assert said.error == "error: pyspark is not installed: pip install '.[spark,models]' (README, Installing parts)"
    listed = python("-m", "jobs", PYTHONPATH=str(tmp_path))
    assert (listed.code, listed.err) == (0, "")
