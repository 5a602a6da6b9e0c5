"""A dataclass is a command line."""

from dataclasses import dataclass
from typing import Annotated

import pytest

from lakehouse.cli import FROM_ZERO, POSITIONAL, POSITIVE, check_ranges, parse
from lakehouse.errors import BadInput


@dataclass(frozen=True)
class Config:
    """Fly kites."""

    lake: Annotated[str, "where the lake is"]
    max_height: Annotated[int, "in metres; 100 % is legal", POSITIVE] = 100
    seconds: Annotated[float, "in the air", POSITIVE] = 60.0
    tail: Annotated[int, "bows on the tail", FROM_ZERO] = 0
    is_windy: Annotated[bool, "whether there is wind"] = True
    names: Annotated[tuple[str, ...], "names"] = ()


@dataclass(frozen=True)
class Question:
    """Ask."""

    sql: Annotated[str, "a SELECT", POSITIONAL]


def test_flags_fill_the_fields() -> None:
    asked = ["--lake", "x", "--max-height", "7", "--no-is-windy", "--names", "a", "b"]
    assert parse(Config, asked, prog="fly") == Config("x", 7, is_windy=False, names=("a", "b"))


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
        (["--lake", "x", "--max-height", "0"], "fly: bad --max-height 0: expected more than 0\n"),
        (["--lake", "x", "--seconds", "nan"], "fly: bad --seconds nan: expected more than 0\n"),
        (["--lake", "x", "--seconds", "inf"], "fly: bad --seconds inf: expected more than 0\n"),
        (["--lake", "x", "--tail", "-1"], "fly: bad --tail -1: expected 0 or more\n"),
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


def test_a_configuration_made_in_python_keeps_to_its_ranges() -> None:
    check_ranges(Config("x"))
    with pytest.raises(BadInput, match="bad --max-height 0: expected more than 0"):
        check_ranges(Config("x", max_height=0))


def test_help_shows_each_field_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(Config, ["--help"], prog="fly")
    shown = " ".join(capsys.readouterr().out.split())
    assert "in metres; 100 % is legal (default: 100)" in shown
