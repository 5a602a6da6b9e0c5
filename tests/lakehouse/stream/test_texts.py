"""What reading texts without images promises."""

from pathlib import Path

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.errors import StreamError
from lakehouse.stream.faults import Quota
from lakehouse.stream.releases import read_release
from lakehouse.stream.texts import read_texts
from tests.lakehouse.stream.conftest import MakeLake
from tests.lakehouse.stream.lakes import Lake, flip_a_byte, training_rows, write_release


def texts_of(lake: Lake, quota: Quota, *, most: int = 1000) -> list[str]:
    release = read_release(str(lake.path), "demo")
    rows = read_texts(str(lake.path), release, columns=("alt_text",), split="train", most=most, quota=quota)
    return [row["alt_text"] for row in rows]


def test_texts_come_in_the_order_of_the_table_without_deleted_rows(make_lake: MakeLake) -> None:
    lake = make_lake(30, files=2, group_rows=10, deleted={1: [0]})
    assert texts_of(lake, Quota(0)) == [f"alt {number}" for number in range(30) if number % 10 != 9 and number != 15]


def test_no_more_texts_come_than_asked_for(make_lake: MakeLake) -> None:
    assert texts_of(make_lake(30), Quota(0), most=3) == ["alt 0", "alt 1", "alt 2"]


@pytest.mark.parametrize(("column", "lost"), [("alt_text", 9), ("split", 10)])
def test_a_damaged_row_group_is_skipped_with_a_count_of_its_rows(make_lake: MakeLake, column: str, lost: int) -> None:
    lake = make_lake(30, files=1, group_rows=10)
    flip_a_byte(lake.files[0], row_group=1, column=column)
    quota = Quota(1000)
    assert texts_of(lake, quota) == [f"alt {number}" for number in (*range(9), *range(20, 29))]
    assert quota.skipped == {"corrupt_row_group": lost}


def test_a_column_that_is_younger_than_a_file_is_null_there(tmp_path: Path) -> None:
    rows, table = training_rows(20), str(tmp_path / "gold" / "training")
    deltalake.write_deltalake(table, rows.slice(0, 10))
    younger = rows.slice(10).append_column("recaption", pa.array([f"re {number}" for number in range(10, 20)]))
    deltalake.write_deltalake(table, younger, mode="append", schema_mode="merge")
    write_release(tmp_path, rows, table_version=1)
    release, columns = read_release(str(tmp_path), "demo"), ("alt_text", "recaption")
    found = list(read_texts(str(tmp_path), release, columns=columns, split="train", most=1000, quota=Quota(0)))
    assert sorted((row["alt_text"], row["recaption"]) for row in found) == sorted(
        (f"alt {number}", f"re {number}" if number >= 10 else None) for number in range(20) if number % 10 != 9
    )


def test_a_column_that_no_file_has_is_an_error(make_lake: MakeLake) -> None:
    lake = make_lake(30)
    rows = read_texts(
        str(lake.path), read_release(str(lake.path), "demo"), columns=("alt",), split="train", most=1, quota=Quota(0)
    )
    with pytest.raises(StreamError, match=r"no column 'alt' in .*: expected one of sample_id, image_id"):
        next(rows)


def test_a_file_of_another_table_is_damage(make_lake: MakeLake) -> None:
    lake = make_lake(30, files=3, group_rows=10)
    foreign = lake.rows.slice(0, 10).drop_columns(["alt_text"]).append_column("title", pa.array(["a"] * 10))
    pq.write_table(foreign, lake.files[1])
    quota = Quota(1000)
    assert len(texts_of(lake, quota)) == 18
    assert quota.skipped == {"corrupt_row_group": 9}


def test_damage_over_the_quota_is_an_error(make_lake: MakeLake) -> None:
    lake = make_lake(30, files=1, group_rows=10)
    flip_a_byte(lake.files[0], row_group=1, column="alt_text")
    with pytest.raises(StreamError, match="skipped 9 rows, more than max_skipped=8"):
        texts_of(lake, Quota(8))
