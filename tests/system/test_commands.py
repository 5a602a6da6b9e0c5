"""Every command helps, and refuses in one line what it cannot do."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import pytest

from demo.run import main as demo
from jobs import (
    dedup_pairs,
    describe_images,
    evaluate_clip,
    ingest_pairs,
    publish_gold,
    release_training,
    select_pairs,
    train_clip,
)
from jobs.__main__ import jobs
from lakehouse.cli import POSITIONAL
from lakehouse.errors import LakehouseError
from lakehouse.job import Job
from lakehouse.lake_mark import MARK, mark_text
from tests.lakehouse.stream.lakes import training_rows, write_lake
from tests.system.said import ROOT, call, python

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
    hints = get_type_hints(config, include_extras=True)
    for field in fields(config):
        hint = hints[field.name].__metadata__
        flag = field.name if POSITIONAL in hint else f"--{field.name.replace('_', '-')}"
        assert flag in text
        # Without blanks: argparse breaks a line at a hyphen too.
        assert "".join(hint[0].split()) in "".join(text.split()), f"{name} does not explain {flag}"


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
    needed["tune_captioner"] = ["--teacher", "rules://", "--out", tmp_path / "out"]
    needed["export_release"] = ["--out", tmp_path / "out"]
    said = call(main_of(name), *needed.get(name, []), "--lake", root)
    assert f"'{root}'" in said.error
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("job", "config", "message"),
    [
        (
            describe_images.JOB,
            describe_images.Config(lake="", model="opnai://x"),
            "unknown model 'opnai://x': expected one",
        ),
        (
            describe_images.JOB,
            describe_images.Config(lake="", model="rules"),
            "unknown model 'rules': expected one of ",
        ),
        (
            describe_images.JOB,
            describe_images.Config(lake="", prompt="poem"),
            "no prompt 'poem': expected one of hqclip_",
        ),
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


def test_a_demo_of_what_is_not_there_leaves_no_folder(tmp_path: Path) -> None:
    said = call(demo, "--data", tmp_path / "gone", "--out", tmp_path / "out")
    assert said.error == f"error: no such folder: '{tmp_path}/gone'"
    assert not (tmp_path / "out").exists()


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
    assert (
        said.error
        == f"error: no finished training in '{released}/_models/never': run train_clip first, or name a --release"
    )


@pytest.mark.parametrize("main", [train_clip.JOB.main, evaluate_clip.JOB.main])
def test_a_folder_that_is_no_lake_trains_nothing(main: Callable[[Sequence[str]], int], tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    said = call(main, "--lake", tmp_path)
    assert said.error == f"error: there is no lake at '{tmp_path}': make demo builds one, ingest_pairs starts one"
    assert [file.name for file in tmp_path.iterdir()] == ["letter.txt"]
