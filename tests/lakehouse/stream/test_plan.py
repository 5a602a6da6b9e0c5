"""What is known of an epoch before it begins."""

from dataclasses import replace

import pytest

from lakehouse.errors import StreamError
from lakehouse.stream.delta import Snapshot, open_snapshot
from lakehouse.stream.plan import make_plan
from lakehouse.stream.predicate import Predicate, is_split, parse_predicate
from tests.lakehouse.stream.conftest import MakeLake
from tests.lakehouse.stream.lakes import Lake, flip_a_byte


def snapshot_of(lake: Lake) -> Snapshot:
    return open_snapshot(str(lake.path / "gold" / "training"), 0)


def test_rows_are_counted_by_row_group(make_lake: MakeLake) -> None:
    plan = make_plan(snapshot_of(make_lake(30, files=2, group_rows=10)), is_split("train"), threads=2)
    assert plan.rows.tolist() == [9, 5, 9, 4]
    assert [group.offset for group in plan.groups] == [0, 10, 0, 10]


def test_deleted_rows_are_not_counted(make_lake: MakeLake) -> None:
    lake = make_lake(30, files=2, group_rows=10, deleted={1: [1, 2, 14]})
    assert make_plan(snapshot_of(lake), Predicate(), threads=1).rows.tolist() == [10, 5, 8, 4]


def test_rows_outside_the_predicate_are_not_counted(make_lake: MakeLake) -> None:
    plan = make_plan(snapshot_of(make_lake(200)), parse_predicate("bucket < 70"), threads=1)
    assert plan.rows.sum() == len([number for number in range(200) if number * 7 % 1000 < 70])


def test_a_row_group_with_damaged_columns_is_left_out(make_lake: MakeLake) -> None:
    lake = make_lake(30, files=1, group_rows=10)
    flip_a_byte(lake.files[0], row_group=1, column="split")
    plan = make_plan(snapshot_of(lake), is_split("train"), threads=1)
    assert plan.rows.tolist() == [9, 0, 9]
    assert [(fault.reason, fault.row_group, rows) for fault, rows in plan.unreadable] == [("corrupt_row_group", 1, 10)]


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"x" * 100])
def test_a_file_without_a_footer_is_left_out(make_lake: MakeLake, damage: bytes) -> None:
    lake = make_lake(30, files=2, group_rows=10)
    lake.files[0].write_bytes(damage)
    plan = make_plan(snapshot_of(lake), Predicate(), threads=1)
    assert plan.rows.tolist() == [10, 5]
    assert [(fault.reason, rows) for fault, rows in plan.unreadable] == [("corrupt_file", 15)]


def test_a_file_of_unknown_length_that_cannot_be_read_is_an_error(make_lake: MakeLake) -> None:
    lake = make_lake(30, files=2)
    lake.files[0].write_bytes(b"")
    snapshot = replace(snapshot_of(lake), records={})
    with pytest.raises(StreamError, match=r"cannot read .*part 0.parquet"):
        make_plan(snapshot, Predicate(), threads=1)
