"""What a lake promises of reads and writes."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from py4j.protocol import Py4JJavaError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.errors import BadInput, NewerLake, SchemaMismatch
from lakehouse.lake import Lake, Txn
from lakehouse.lake_mark import FORMAT
from lakehouse.table import Column, Table
from schemas.silver import DUPLICATES, SELECTIONS
from tests.lakehouse.members import members

pytestmark = pytest.mark.spark


def ids(lake: Lake) -> list[str]:
    return sorted(row.sample_id for row in lake.read(SELECTIONS).collect())


def test_a_table_that_was_never_written_has_no_rows_but_its_columns(lake: Lake) -> None:
    assert lake.read(SELECTIONS).count() == 0
    assert tuple(lake.read(SELECTIONS).columns) == SELECTIONS.column_names


def test_a_repeated_transaction_adds_nothing(lake: Lake, spark: SparkSession) -> None:
    for rows in (members(spark, "a"), members(spark, "a")):
        lake.append(SELECTIONS, rows, txn=Txn("stream", 7))
    assert ids(lake) == ["a"]


def test_the_run_is_written_into_every_row(lake: Lake, spark: SparkSession) -> None:
    lake.append(SELECTIONS, members(spark, "a"))
    assert [row.run_id for row in lake.read(SELECTIONS).collect()] == ["test"]


def test_rows_that_do_not_fit_are_refused_before_anything_is_written(lake: Lake, spark: SparkSession) -> None:
    with pytest.raises(
        SchemaMismatch,
        match=r"cannot write silver\.selections: missing selection, group_id; unknown colour",
    ):
        lake.append(SELECTIONS, spark.createDataFrame([("a", "red")], "sample_id STRING, colour STRING"))
    assert not lake.exists(SELECTIONS)


def test_a_nullable_column_that_is_new_joins_a_table_that_is_there(lake: Lake, spark: SparkSession) -> None:
    now = SELECTIONS
    added = Column("note", "STRING", "A later thought", nullable=True)
    later = dataclasses.replace(now, columns=(*now.columns, added))
    lake.append(now, members(spark, "a"))
    assert [row.note for row in lake.read(later).collect()] == [None], "older rows have none"
    lake.append(later, members(spark, "b").withColumn("note", F.lit("new")))
    assert sorted((row.sample_id, row.note) for row in lake.read(later).collect()) == [("a", None), ("b", "new")]


def test_a_row_that_breaks_a_check_is_refused_whoever_writes(lake: Lake, spark: SparkSession) -> None:
    lake.create(DUPLICATES)
    rows = spark.createDataFrame(
        [("a", "b", "a", "exact", 0, 1, 1, "r")],
        "sample_id STRING, group_id STRING, earlier_id STRING, kind STRING, distance INT, text_hash BIGINT, "
        "text_place INT, run_id STRING",
    )
    with pytest.raises(Py4JJavaError, match="does_not_repeat_itself"):
        rows.write.format("delta").mode("append").save(lake.path(DUPLICATES))


def test_sql_sees_tables_by_their_names(lake: Lake, spark: SparkSession) -> None:
    lake.append(SELECTIONS, members(spark, "a", "b"))
    assert "silver.selections" in lake.register()
    assert spark.sql("SELECT count(*) AS n FROM silver.selections").collect()[0].n == 2


def test_a_name_stands_for_the_lake_that_was_registered_last(
    open_at: Callable[[Path], Lake], spark: SparkSession, tmp_path: Path
) -> None:
    first, second = open_at(tmp_path / "first"), open_at(tmp_path / "second")
    first.append(SELECTIONS, members(spark, "a", "b"))
    second.append(SELECTIONS, members(spark, "c"))
    first.register()
    shutil.rmtree(first.root)
    second.register()
    assert [row.sample_id for row in spark.sql("SELECT sample_id FROM silver.selections").collect()] == ["c"]


WITH_HIVE = """
import sys
from pyspark.sql import SparkSession
from lakehouse.errors import BadInput
from lakehouse.lake import open_lake
from lakehouse.session import _DELTA
from schemas import TABLES

base = sys.argv[1]
builder = SparkSession.builder.master("local[1]")
for key, value in {
    **_DELTA,
    "spark.ui.enabled": "false",
    "spark.sql.catalogImplementation": "hive",
    "spark.sql.warehouse.dir": base + "/warehouse",
    "spark.hadoop.javax.jdo.option.ConnectionURL": f"jdbc:derby:;databaseName={base}/metastore;create=true",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
}.items():
    builder = builder.config(key, value)
spark = builder.getOrCreate()
for name in sys.argv[2:]:
    try:
        print(open_lake(name, spark=spark, tables=TABLES, run_id="").register())
    except BadInput as error:
        print(error)
"""


@pytest.mark.slow
def test_a_lasting_catalog_keeps_the_names_of_its_own_lake(lake: Lake, spark: SparkSession, tmp_path: Path) -> None:
    lake.append(SELECTIONS, members(spark, "a"))
    other = shutil.copytree(lake.root, tmp_path / "other lake")
    command = [sys.executable, "-c", WITH_HIVE, str(tmp_path), str(other), str(other), lake.root]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    # A process of its own: a session's catalog is chosen once. Its folder takes what Derby leaves.
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stdout.splitlines() == [
        "['silver.selections']",
        "['silver.selections']",
        f"the catalog has silver.selections at '{other}/silver/selections', not in '{lake.root}': "
        "DROP TABLE silver.selections there, or name the lake that it belongs to",
    ], done.stderr


def test_comments_reach_the_catalog(lake: Lake, spark: SparkSession) -> None:
    lake.create(SELECTIONS)
    fields = {field.name: field.metadata.get("comment") for field in lake.read(SELECTIONS).schema.fields}
    assert fields["selection"] == "Name of the choice"


def test_a_newer_lake_is_refused(open_at: Callable[[Path], Lake], tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "_lakehouse.json").write_text(json.dumps({"format": FORMAT + 1}))
    with pytest.raises(NewerLake, match=f"has format {FORMAT + 1}, this version of the code knows up to {FORMAT}"):
        open_at(tmp_path / "lake")


def test_an_older_lake_is_refused(open_at: Callable[[Path], Lake], tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "_lakehouse.json").write_text(json.dumps({"format": FORMAT - 1}))
    with pytest.raises(BadInput, match=f"this version of the code {FORMAT}: build the lake anew"):
        open_at(tmp_path / "lake")


def test_what_was_settled_first_stays(lake: Lake) -> None:
    assert lake.setting("job/one") is None
    for line in ("a", "b"):
        lake.settle("job/one", line)
    assert lake.setting("job/one") == "a"
    assert lake.setting("job/two") is None


def test_a_stream_of_a_missing_table_says_which_job_makes_it(lake: Lake) -> None:
    with pytest.raises(BadInput, match=r"silver\.selections is not there yet in .*: run select_pairs first"):
        lake.stream(SELECTIONS, batch_bytes=1, needs="select_pairs")


PAGES = Table(
    "gold.pages",
    "A page",
    columns=(Column("id", "STRING", "Key"), Column("text", "STRING", "Text"), Column("version", "INT", "Version")),
    key=("id",),
)


def pages(spark: SparkSession, *rows: tuple[str, str, int]) -> DataFrame:
    return spark.createDataFrame(list(rows), "id STRING, text STRING, version INT")


def test_an_upsert_adds_replaces_or_leaves_each_row(lake: Lake, spark: SparkSession) -> None:
    def put(number: int, *rows: tuple[str, str, int]) -> None:
        lake.upsert(PAGES, pages(spark, *rows), key="id", unless_same=("version",), txn=Txn("put", number))

    put(0, ("a", "old", 1), ("b", "old", 1))
    put(1, ("a", "unseen", 1), ("b", "new", 2), ("c", "new", 2))
    rows = {row.id: (row.text, row.version) for row in lake.read(PAGES).collect()}
    assert rows == {"a": ("old", 1), "b": ("new", 2), "c": ("new", 2)}
