"""A question in SQL is answered with the right values, in each format, or refused in one line; nothing is written."""

import csv
import io
import json
import os
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from jobs import query_lakehouse
from lakehouse.errors import BadInput
from lakehouse.lake import Lake
from lakehouse.lake_mark import MARK, mark_text
from lakehouse.small_rows import append_rows, read_rows
from schemas.ops import REJECTS
from tests.system.said import Said, call

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NO_SPARK = Lake("nowhere", cast("SparkSession", None), {}, "")
"""A lake that fails whoever reads it: for what is refused before."""


TEXTS = ["plain", 'with, a "comma"', "two\nlines", "", None, "Größe 漢字 🐈", "=SUM(A1)", "tab\tbed", "-5", "'quoted'"]


@pytest.fixture(scope="module")
def asked(spark: "SparkSession", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with texts that are hard to print, in ``ops.rejects.detail``."""
    root = tmp_path_factory.mktemp("asked")
    (root / MARK).write_text(mark_text())
    row: dict[str, Any] = {"stage": "ask", "reason": "bad_utf8", "source": None, "source_uid": None, "run_id": "r"}
    row |= {"raw": b"\x00\xff\n", "rejected_at": datetime(2026, 1, 1, tzinfo=UTC)}
    rows = [row | {"row_id": f"{number:02}", "detail": text} for number, text in enumerate(TEXTS)]
    append_rows(str(root), REJECTS, rows)
    return root


def ask(lake: Path, sql: str, *flags: object) -> Said:
    return call(query_lakehouse.main, sql, "--lake", lake, *flags)


DETAILS = "SELECT row_id, detail, raw, length(detail) AS letters FROM ops.rejects ORDER BY row_id"


@pytest.mark.spark
def test_json_gives_back_the_values(asked: Path) -> None:
    said = ask(asked, DETAILS, "--format", "json")
    rows: list[dict[str, Any]] = [json.loads(line) for line in said.out.splitlines()]
    assert [row["detail"] for row in rows] == TEXTS
    assert [row["letters"] for row in rows] == [None if text is None else len(text) for text in TEXTS]
    assert {row["raw"] for row in rows} == {"<3 bytes>"}
    assert said.err == ""


@pytest.mark.spark
def test_csv_gives_back_the_values(asked: Path) -> None:
    said = ask(asked, DETAILS, "--format", "csv")
    names, *rows = csv.reader(io.StringIO(said.out, newline=""))
    assert names == ["row_id", "detail", "raw", "letters"]
    # CSV has no null; and what a spreadsheet would run as a formula has a quote before it.
    assert [row[1] for row in rows] == [{None: "", "=SUM(A1)": "'=SUM(A1)"}.get(text, text) for text in TEXTS]


@pytest.mark.spark
def test_a_table_has_a_line_for_each_row(asked: Path) -> None:
    said = ask(asked, f"{DETAILS};")
    head, rule, *rows, count = said.out.splitlines()
    start, end = head.index("detail"), head.index("raw")
    assert set(rule) == {"-", " "}
    assert count == f"({len(TEXTS)} rows)"
    shown = [row[start:end].rstrip() for row in rows]
    assert shown == [
        "plain",
        'with, a "comma"',
        "two\N{REPLACEMENT CHARACTER}lines",
        "",
        "NULL",
        "Größe 漢字 🐈",
        "=SUM(A1)",
        "tab\N{REPLACEMENT CHARACTER}bed",
        "-5",
        "'quoted'",
    ]


@pytest.mark.spark
def test_nested_values_are_json(asked: Path) -> None:
    sql = """SELECT array('a', NULL) AS l, named_struct('x', 1, 'y', 'b"c') AS s, map('k', 1.5D) AS m,
        double('NaN') AS n, timestamp'2026-01-02 03:04:05' AS t, 1.50BD AS d, binary('ab') AS b, true AS yes"""
    (line,) = ask(asked, sql, "--format", "json").out.splitlines()
    assert json.loads(line, parse_constant=pytest.fail) == {
        "l": ["a", None],
        "s": {"x": 1, "y": 'b"c'},
        "m": {"k": 1.5},
        "n": "nan",
        "t": "2026-01-02 03:04:05",
        "d": "1.50",
        "b": "<2 bytes>",
        "yes": True,
    }
    _, row = csv.reader(io.StringIO(ask(asked, sql, "--format", "csv").out, newline=""))
    assert [json.loads(cell) for cell in row[:3]] == [["a", None], {"x": 1, "y": 'b"c'}, {"k": 1.5}]


@pytest.mark.spark
def test_more_rows_than_the_limit_are_left_out_with_a_note(asked: Path) -> None:
    said = ask(asked, DETAILS, "--limit", "2", "--format", "json")
    assert (len(said.out.splitlines()), said.err) == (2, "note: only the first 2 rows are shown: see --limit\n")


@pytest.mark.spark
def test_two_columns_of_one_name_are_no_json(asked: Path) -> None:
    twice = ask(asked, "SELECT 1 AS a, 2 AS a", "--format", "json").error
    assert twice == "error: two columns are called 'a': rename one with AS, or use --format csv"


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO ops.rejects SELECT * FROM ops.rejects",
        "-- a question?\nDROP TABLE ops.rejects",
        "/* SELECT */ DELETE FROM ops.rejects",
        "(\n/* why? */ -- so\n DROP TABLE ops.rejects",
        "CREATE TABLE mine (a INT)",
        "SET spark.x = 1",
        "ADD JAR '/tmp/x.jar'",
        "SELEC 1",
        "-- nothing",
        "how many rows?",
        "",
    ],
)
def test_what_is_no_question_is_refused_by_its_first_word(sql: str) -> None:
    with pytest.raises(BadInput, match="only questions are asked here: start with SELECT, "):
        query_lakehouse.run(NO_SPARK, query_lakehouse.Config(sql), io.StringIO())


def test_an_answer_that_cannot_be_printed_is_not_asked_for() -> None:
    with pytest.raises(BadInput, match="unknown format 'xml': expected one of table, csv, json"):
        query_lakehouse.run(NO_SPARK, query_lakehouse.Config("SELECT 1", format="xml"), io.StringIO())


@pytest.mark.spark
@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("DROP TABLE ops.rejects", "only questions are asked here"),
        ("SELECT 1; DROP TABLE ops.rejects", "Syntax error"),
        ("SELECT 1) AS a; DROP TABLE ops.rejects; SELECT * FROM (SELECT 1", "Syntax error"),
        ("WITH a AS (SELECT * FROM ops.rejects) INSERT INTO ops.rejects SELECT * FROM a", "Syntax error"),
        ("FROM ops.rejects INSERT INTO ops.rejects SELECT *", "Syntax error"),
        ("SELECT count(* FROM ops.rejects", "Syntax error"),
        ("SELECT reasn FROM ops.rejects", "Did you mean one of the following? [`reason`"),
        ("SELECT * FROM ops.reject", "(tables: ops.rejects)"),
        ("SELECT 1 / 0", "Division by zero"),
        ("SELECT CAST(detail AS INT) FROM ops.rejects", "cannot be cast"),
        ("SELECT * FROM parquet.`/nowhere/at/all`", "/nowhere/at/all"),
    ],
)
def test_what_cannot_be_answered_says_why_in_one_line(sql: str, message: str, asked: Path) -> None:
    said = ask(asked, sql)
    assert message in said.error
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert len(read_rows(str(asked), REJECTS)) == len(TEXTS)


@pytest.mark.spark
@pytest.mark.parametrize(
    "sql",
    [
        "(SELECT 1 AS a)",
        "-- why?\nSELECT 1 AS a -- so",
        "/* why\n? */ WITH b AS (SELECT 1 AS a) SELECT * FROM b;",
        "VALUES (1) AS t(a)",
        "SHOW TABLES IN ops",
        "DESC ops.rejects",
        "EXPLAIN SELECT 1 AS a",
    ],
)
def test_questions_come_in_many_shapes(sql: str, asked: Path) -> None:
    said = ask(asked, sql)
    assert (said.code, said.err) == (0, "")
    assert "rows)" in said.out


@pytest.mark.spark
def test_a_lake_without_tables_says_that_there_are_none(spark: "SparkSession", tmp_path: Path) -> None:
    (tmp_path / MARK).write_text(mark_text())
    assert "(tables: none yet)" in ask(tmp_path, "SELECT * FROM ops.rejects").error
    assert ask(tmp_path, "SELECT 1 AS a", "--format", "json").out == '{"a": 1}\n'
    (tmp_path / MARK).unlink()
    assert ask(tmp_path, "SELECT 1").error.startswith(f"error: there is no lake at '{tmp_path}': make demo builds one")


@pytest.mark.spark
def test_a_reader_that_has_enough_ends_a_query_quietly(asked: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as out, redirect_stdout(out), redirect_stderr(io.StringIO()) as err:
        assert query_lakehouse.main([DETAILS, "--lake", str(asked)]) == 0
    assert err.getvalue() == ""
