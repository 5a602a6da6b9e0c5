"""Rows that are appended without Spark: to a table that is not there, and to one of an earlier day."""

import dataclasses
from pathlib import Path

import deltalake

from lakehouse.small_rows import append_rows, read_rows
from lakehouse.table import Column, Table

NOW = Table(
    "gold.marks",
    "Marks",
    columns=(Column("name", "STRING", "Who"), Column("mark", "DOUBLE", "How well")),
    key=("name",),
)
LATER = dataclasses.replace(NOW, columns=(*NOW.columns, Column("low", "DOUBLE", "At least", nullable=True)))


def test_a_nullable_column_that_is_new_joins_a_table_that_is_there(tmp_path: Path) -> None:
    append_rows(str(tmp_path), NOW, [{"name": "a", "mark": 1.0}])
    assert read_rows(str(tmp_path), LATER) == [{"name": "a", "mark": 1.0, "low": None}]
    append_rows(str(tmp_path), LATER, [{"name": "b", "mark": 2.0, "low": 0.5}, {"name": "c", "mark": 3.0}])
    found = sorted(read_rows(str(tmp_path), LATER), key=lambda row: row["name"])
    assert [row["low"] for row in found] == [None, 0.5, None]
    fields = deltalake.DeltaTable(tmp_path / "gold" / "marks").schema().fields
    assert {field.name: field.metadata["comment"] for field in fields}["low"] == "At least"


def test_a_column_whose_comment_was_put_otherwise_keeps_its_own(tmp_path: Path) -> None:
    append_rows(str(tmp_path), NOW, [{"name": "a", "mark": 1.0}])
    other = dataclasses.replace(LATER, columns=(Column("name", "STRING", "Whose mark"), *LATER.columns[1:]))
    append_rows(str(tmp_path), other, [{"name": "b", "mark": 2.0, "low": 0.5}])
    fields = deltalake.DeltaTable(tmp_path / "gold" / "marks").schema().fields
    assert [field.metadata["comment"] for field in fields] == ["Who", "How well", "At least"]


def test_a_table_that_lacks_nothing_keeps_its_schema(tmp_path: Path) -> None:
    for name in "ab":
        append_rows(str(tmp_path), NOW, [{"name": name, "mark": 1.0}])
    commit = (tmp_path / "gold" / "marks" / "_delta_log" / "00000000000000000001.json").read_text()
    assert "metaData" not in commit
