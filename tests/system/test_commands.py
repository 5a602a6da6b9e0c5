"""Every command helps, refuses what it cannot do in one line, and answers questions with the right values."""

import csv
import io
import json
import os
import re
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import fields
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from jobs import (
    dedup_pairs,
    describe_images,
    evaluate_clip,
    ingest_pairs,
    publish_gold,
    query_lakehouse,
    release_training,
    select_pairs,
    train_clip,
)
from jobs.__main__ import jobs
from lakehouse.cli import POSITIONAL
from lakehouse.errors import BadInput, LakehouseError
from lakehouse.job import Job
from lakehouse.lake import Lake
from lakehouse.lake_mark import MARK, mark_text
from lakehouse.small_rows import append_rows, read_rows
from schemas.ops import REJECTS
from tests.lakehouse.stream.lakes import training_rows, write_lake
from tests.system.said import ROOT, Said, call, python

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

JOBS = [name for name, _ in jobs()]


def main_of(name: str) -> Callable[[Sequence[str]], int]:
    module = import_module(f"jobs.{name}")
    main: Callable[[Sequence[str]], int] = module.JOB.main if hasattr(module, "JOB") else module.main
    return main


def test_the_list_has_a_line_for_each_job() -> None:
    said = python("-m", "jobs")
    assert (said.code, said.err) == (0, "")
    files = {file.stem for file in (ROOT / "jobs").glob("*_*.py") if not file.stem.startswith("__")}
    lines = dict(line.split(maxsplit=1) for line in said.out.splitlines()[2:])
    assert set(lines) == files
    assert all(len(line) > 20 for line in lines.values())


def test_an_unknown_job_is_answered_with_the_nearest() -> None:
    assert python("-m", "jobs", "ingest_pair").refusal == "jobs: unknown job 'ingest_pair': did you mean ingest_pairs?"
    assert python("-m", "jobs", "nope").refusal == "jobs: unknown job 'nope': python -m jobs lists them"
    assert python("-m", "jobs", "ingest_pairs").refusal == "jobs: to run it, type python -m jobs.ingest_pairs"
    assert python("-m", "jobs.nope").shows_no_insides


HELP_OF_ALL = """
import contextlib, importlib, io, json, sys
helps = {}
for name in sys.argv[1:]:
    module, out = importlib.import_module(f"jobs.{name}"), io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            (module.JOB.main if hasattr(module, "JOB") else module.main)(["--help"])
        except SystemExit as exit_:
            helps[name] = [exit_.code, out.getvalue()]
from pyspark import SparkContext
assert SparkContext._gateway is None, "a JVM was started"
assert "torch" not in sys.modules, "torch was imported"
print(json.dumps(helps))
"""


@pytest.fixture(scope="module")
def helps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """What ``--help`` of every job says where there is no Java."""
    nowhere = str(tmp_path_factory.mktemp("nowhere"))
    said = python("-c", HELP_OF_ALL, *JOBS, PATH=nowhere, JAVA_HOME=nowhere, COLUMNS="200")
    assert said.code == 0, said.err
    found: dict[str, tuple[int, str]] = json.loads(said.out)
    return found


@pytest.mark.parametrize("name", JOBS)
def test_help_explains_every_flag(name: str, helps: dict[str, tuple[int, str]]) -> None:
    code, text = helps[name]
    assert code == 0
    config = import_module(f"jobs.{name}").Config
    assert " ".join((config.__doc__ or "").split()) in " ".join(text.split())
    for field in fields(config):
        hint = config.__annotations__[field.name].__metadata__
        flag = field.name if POSITIONAL in hint else f"--{field.name.replace('_', '-')}"
        assert flag in text
        assert " ".join(hint[0].split()) in " ".join(text.split()), f"{name} does not explain {flag}"


@pytest.mark.parametrize("name", JOBS)
def test_a_misspelt_flag_is_answered_with_the_right_one(name: str) -> None:
    main = main_of(name)
    assert call(main, "--lak", "x").refusal == f"{name}: unknown argument '--lak': did you mean --lake?"
    assert call(main, "--zzzzzz").refusal == f"{name}: unknown argument '--zzzzzz': see --help"


@pytest.mark.parametrize("name", JOBS)
def test_a_flag_that_a_job_cannot_do_without_is_named(name: str) -> None:
    missing = "sql" if name == "query_lakehouse" else "--lake"
    assert missing in call(main_of(name)).refusal


@pytest.mark.parametrize("name", JOBS)
def test_an_empty_lake_is_not_the_working_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = call(main_of(name), "--lake", "")
    assert said.refusal == f"{name}: argument --lake: expected a value, not an empty text"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "flags", "message"),
    [
        ("ingest_pairs", ["--max-seconds", "soon"], "argument --max-seconds: invalid float value: 'soon'"),
        ("dedup_pairs", ["--max-bits", "few"], "argument --max-bits: invalid int value: 'few'"),
        ("train_clip", ["--epochs", "1.5"], "argument --epochs: invalid int value: '1.5'"),
        ("evaluate_clip", ["--max-pairs"], "argument --max-pairs: expected one argument"),
        ("run_pipeline", ["--pixels", ""], "argument --pixels: invalid int value: ''"),
        ("query_lakehouse", ["--limit", "all"], "argument --limit: invalid int value: 'all'"),
        ("query_lakehouse", ["SELECT 1", "--limit", "-2"], "bad --limit -2: expected 0 or more"),
        *(
            ("ingest_pairs", ["--lake", "x", "--source", "x", flag, "0"], f"bad {flag} {zero}: expected more than 0")
            for flag, zero in {"--max-pixels": 0, "--max-seconds": 0.0, "--max-memory-mb": 0, "--batch-mb": 0}.items()
        ),
    ],
)
def test_a_bad_value_is_refused(name: str, flags: list[str], message: str) -> None:
    assert call(main_of(name), *flags).refusal == f"{name}: {message}"


@pytest.mark.parametrize("name", JOBS)
@pytest.mark.parametrize("place", ["below a file", "a file", "proc"])
def test_a_lake_that_cannot_be_is_said_before_any_work(place: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    root = {"below a file": tmp_path / "file" / "lake", "a file": tmp_path / "file", "proc": Path("/proc/nothing")}[
        place
    ]
    source: list[object] = ["--source", tmp_path]
    needed: dict[str, list[object]] = {"query_lakehouse": ["SELECT 1"], "ingest_pairs": source, "run_pipeline": source}
    said = call(main_of(name), *needed.get(name, []), "--lake", root)
    assert f"'{root}'" in said.error
    assert (tmp_path / "file").read_text() == "mine"


NO_SPARK = Lake("nowhere", cast("SparkSession", None), {}, "")
"""A lake that fails whoever reads it: for what is refused before."""


@pytest.mark.parametrize(
    ("job", "config", "message"),
    [
        (describe_images.JOB, describe_images.Config("", model="opnai://x"), "unknown model 'opnai://x': expected one"),
        (describe_images.JOB, describe_images.Config("", model="rules"), "unknown model 'rules': expected one of "),
        (describe_images.JOB, describe_images.Config("", prompt="poem"), "no prompt 'poem': expected one of hqclip_"),
        (dedup_pairs.JOB, dedup_pairs.Config("", max_bits=4), "bad --max-bits 4: expected 0 to 3"),
        (select_pairs.JOB, select_pairs.Config("", selection="../x"), "bad --selection '../x': expected letters"),
        (select_pairs.JOB, select_pairs.Config("", filter="defualt"), "unknown filter 'defualt': expected one of none"),
        (release_training.JOB, release_training.Config("", predicate="bucket ??"), "bucket ??"),
        (release_training.JOB, release_training.Config("", mix="alt_txt=1"), "no text column 'alt_txt' in gold.train"),
        (publish_gold.JOB, publish_gold.Config("", held_out=1.0), "bad --held-out 1.0: expected a share, 0 to below 1"),
        (publish_gold.JOB, publish_gold.Config("", fit="stretch"), "unknown fit 'stretch': expected one of crop, pad"),
        (ingest_pairs.JOB, ingest_pairs.Config("", "/no/such"), "no such folder: '/no/such'"),
        (ingest_pairs.JOB, ingest_pairs.Config("", "/", kind="zip"), "unknown kind of source 'zip': expected one of"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_before_any_work(job: Job[Any], config: object, message: str) -> None:
    with pytest.raises(LakehouseError, match=re.escape(message)):
        job.check(config)


@pytest.mark.parametrize("name", ["ingest_pairs", "run_pipeline"])
def test_a_source_that_is_not_there_leaves_no_lake(name: str, tmp_path: Path) -> None:
    said = call(main_of(name), "--lake", tmp_path / "lake", "--source", tmp_path / "gone")
    assert said.error == f"error: no such folder: '{tmp_path}/gone'"
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [("--mix", "web_txt=1", "no text column 'web_txt' in"), ("--fit", "stretch", "unknown fit 'stretch': expected")],
)
def test_the_pipeline_refuses_at_its_start_what_a_later_job_could_not_do(
    flag: str, value: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").touch()
    said = call(main_of("run_pipeline"), "--lake", tmp_path / "lake", "--source", tmp_path, flag, value)
    assert said.error.startswith(f"error: {message}")


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with a release, made without Spark."""
    lake = write_lake(tmp_path_factory.mktemp("released") / "lake", training_rows(20)).path
    (lake / MARK).write_text(mark_text())
    return lake


@pytest.mark.spark
@pytest.mark.parametrize("where", ["sharpnes > 3", "this is (no SQL", "words > 3; DROP TABLE x"])
def test_a_filter_that_cannot_be_is_answered_with_the_columns_there_are(
    where: str, released: Path, spark: "SparkSession"
) -> None:
    said = call(select_pairs.JOB.main, "--lake", released, "--where", where)
    assert re.match("error: the filter does not fit: .+; it may use .*sharpness", said.error)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--release", "nope"], "unknown release 'nope' in '{lake}': expected one of demo"),
        (["--mix", "alt_text"], "bad mix 'alt_text': expected column=weight,column=weight"),
        (["--mix", "alt_text=much"], "bad mix 'alt_text=much': expected column=weight"),
        (["--mix", "alt_text=0"], "bad mix 'alt_text=0': expected weights from 0, one of them above"),
        (["--mix", "web_txt=1"], "unknown text column 'web_txt' in a mix: expected one of alt_text, "),
        (["--name", "../clip"], "bad --name '../clip': expected letters"),
    ],
)
def test_training_names_what_it_was_asked_in_vain(flags: list[str], message: str, released: Path) -> None:
    assert message.format(lake=released) in call(train_clip.JOB.main, "--lake", released, *flags).error
    assert not (released / "_models").exists()


def test_a_model_that_was_never_trained_is_not_evaluated(released: Path) -> None:
    said = call(evaluate_clip.JOB.main, "--lake", released, "--name", "never")
    assert said.error == f"error: no finished training in '{released}/_models/never': run train_clip first"


@pytest.mark.parametrize("main", [train_clip.JOB.main, evaluate_clip.JOB.main])
def test_a_folder_that_is_no_lake_trains_nothing(main: Callable[[Sequence[str]], int], tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    said = call(main, "--lake", tmp_path)
    assert said.error == f"error: there is no lake at '{tmp_path}': make demo builds one, ingest_pairs starts one"
    assert [file.name for file in tmp_path.iterdir()] == ["letter.txt"]


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
