"""What reading a pinned version of a Delta table promises."""

from pathlib import Path

import deltalake
import pyarrow as pa
import pytest

from lakehouse.errors import StreamError
from lakehouse.stream import delta
from lakehouse.stream.delta import open_snapshot
from tests.lakehouse.stream.conftest import MakeLake
from tests.lakehouse.stream.lakes import sample_id


def ids(table: Path, version: int | None = None) -> list[str]:
    snapshot = open_snapshot(str(table), version)
    return [row for part in snapshot.tables(["sample_id"]) for row in part.column("sample_id").to_pylist()]


def test_deleted_rows_stay_deleted(make_lake: MakeLake) -> None:
    lake = make_lake(30, files=3, deleted={0: [0, 9], 2: [3]})
    gone = {sample_id(number) for number in (0, 9, 23)}
    assert set(ids(lake.path / "gold" / "training")) == {sample_id(number) for number in range(30)} - gone


def test_a_version_is_read_as_it_was(tmp_path: Path) -> None:
    for number in range(3):
        deltalake.write_deltalake(str(tmp_path / "t"), pa.table({"sample_id": [str(number)]}), mode="append")
    assert sorted(ids(tmp_path / "t", 1)) == ["0", "1"]


@pytest.mark.parametrize("folder", ["plain", "with a space", "ümlaut+plus#hash"])
def test_a_folder_may_have_any_name(tmp_path: Path, folder: str) -> None:
    deltalake.write_deltalake(str(tmp_path / folder), pa.table({"sample_id": ["a"]}))
    snapshot = open_snapshot(str(tmp_path / folder), None)
    assert [part.num_rows for part in snapshot.tables(["sample_id"])] == [1]
    assert set(snapshot.records) == set(snapshot.files)


def test_a_version_that_is_not_there_is_an_error(make_lake: MakeLake) -> None:
    with pytest.raises(StreamError, match=r"cannot open version 7"):
        open_snapshot(str(make_lake(10).path / "gold" / "training"), 7)


def test_a_table_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StreamError, match=r"no Delta table at"):
        open_snapshot(str(tmp_path / "nothing"), None)


def test_a_file_that_vacuum_took_is_named(make_lake: MakeLake) -> None:
    lake = make_lake(30)
    lake.files[1].unlink()
    with pytest.raises(StreamError, match=r"part 1.parquet' of version 0 .* is gone, as after VACUUM"):
        ids(lake.path / "gold" / "training")


def test_a_bucket_that_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "Kernel error\n   \x1b[31m\u21b3\x1b[0m failed to load credentials\n   \x1b[31m\u21b3\x1b[0m access denied\n"

    def refuse(*_: object, **__: object) -> None:
        raise OSError(said)

    monkeypatch.setattr(delta, "DeltaTable", refuse)
    message = (
        r"^cannot open the newest version of 's3://pets/lake': Kernel error: failed to load credentials: access denied$"
    )
    with pytest.raises(StreamError, match=message):
        open_snapshot("s3://pets/lake", None)
