"""What reading texts without images promises."""

import pytest

from lakehouse.errors import StreamError
from lakehouse.stream.faults import Quota
from lakehouse.stream.releases import read_release
from lakehouse.stream.texts import read_texts
from tests.lakehouse.stream.conftest import MakeLake
from tests.lakehouse.stream.lakes import Lake, flip_a_byte


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


def test_damage_over_the_quota_is_an_error(make_lake: MakeLake) -> None:
    lake = make_lake(30, files=1, group_rows=10)
    flip_a_byte(lake.files[0], row_group=1, column="alt_text")
    with pytest.raises(StreamError, match="skipped 9 rows, more than max_skipped=8"):
        texts_of(lake, Quota(8))
