"""A dataclass is a command line."""

from dataclasses import dataclass
from typing import Annotated

import pytest

from lakehouse.cli import POSITIONAL, parse


@dataclass(frozen=True)
class Config:
    """Fly kites."""

    lake: Annotated[str, "where the lake is"]
    max_height: Annotated[int, "in metres; 100 % is legal"] = 100
    is_windy: Annotated[bool, "whether there is wind"] = True
    names: Annotated[tuple[str, ...], "names"] = ()


@dataclass(frozen=True)
class Question:
    """Ask."""

    sql: Annotated[str, "a SELECT", POSITIONAL]


def test_flags_fill_the_fields() -> None:
    asked = ["--lake", "x", "--max-height", "7", "--no-is-windy", "--names", "a", "b"]
    assert parse(Config, asked, prog="fly") == Config("x", 7, False, ("a", "b"))


def test_fields_keep_their_defaults() -> None:
    assert parse(Config, ["--lake", "x"], prog="fly") == Config("x")


def test_a_positional_needs_no_flag() -> None:
    assert parse(Question, ["SELECT 1"], prog="ask").sql == "SELECT 1"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--lake", "x", "--max-hight", "7"], "fly: unknown argument '--max-hight': did you mean --max-height?\n"),
        (["--lak", "x"], "fly: unknown argument '--lak': did you mean --lake?\n"),
        (["--lake", ""], "fly: argument --lake: expected a value, not an empty text\n"),
        (["--lake", "x", "--max-height", "tall"], "fly: argument --max-height: invalid int value: 'tall'\n"),
        ([], "fly: the following arguments are required: --lake\n"),
    ],
)
def test_a_bad_flag_is_one_line_with_exit_code_2(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        parse(Config, argv, prog="fly")
    assert exit_.value.code == 2
    assert capsys.readouterr().err == message


def test_help_shows_each_field_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(Config, ["--help"], prog="fly")
    shown = " ".join(capsys.readouterr().out.split())
    assert "in metres; 100 % is legal (default: 100)" in shown
