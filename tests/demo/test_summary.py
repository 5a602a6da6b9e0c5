"""The table at the end of the demo."""

import shlex
from typing import Any

import pytest

from demo.summary import print_table
from jobs.query_lakehouse import Config
from lakehouse.cli import parse

SUMMARY: dict[str, Any] = {
    "pairs_ingested": 20,
    "pairs_selected": 14,
    "rejected": {"too_small": 6},
    "captions": 14,
    "release": {"name": "release-1", "rows": 14, "table_version": 1},
    "retrieval": {"mix": {"n": 4, **{way: {"r1": 1.0, "r5": 1.0, "r10": 1.0} for way in ("t2i", "i2t")}}},
    "seconds": {"total": 9.0},
}


@pytest.mark.parametrize("lake", ["build/demo/lake", "build/demo-mine/lake", "/a place/lake"])
def test_the_question_at_the_end_is_about_the_lake_that_was_made(lake: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_table(SUMMARY, report="report.html", lake=lake)
    asked = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("ask:"))
    _, _, _, job, *flags = shlex.split(asked)
    assert job == "jobs.query_lakehouse"
    assert parse(Config, flags, prog="query_lakehouse").lake == lake


def test_chance_is_never_more_than_certain(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(SUMMARY, report="report.html", lake="lake")
    assert "4 pairs (chance: R@10 1.000)" in capsys.readouterr().out
