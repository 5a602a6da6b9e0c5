"""What releases promise."""

from pathlib import Path

import pytest

from lakehouse.errors import StreamError
from lakehouse.stream import Mix
from lakehouse.stream.releases import read_release
from tests.lakehouse.stream.lakes import Lake, training_rows, write_lake, write_release


def test_a_release_is_read_by_name(lake: Lake) -> None:
    release = read_release(str(lake.path), "demo")
    assert (release.table_name, release.table_version, release.seed) == ("gold.training", 0, 7)
    assert release.mix == Mix(alt_text=1, long_positive=1)
    assert (release.rows_of("train"), release.rows_of("other")) == (270, None)


def test_an_unknown_release_is_told_the_releases_there_are(tmp_path: Path) -> None:
    rows = training_rows(10)
    lake = write_lake(tmp_path, rows)
    write_release(lake.path, rows, release="another")
    with pytest.raises(StreamError, match=r"unknown release 'dmo' in .*: expected one of another, demo"):
        read_release(str(lake.path), "dmo")


def test_a_lake_without_releases_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StreamError, match=r"no Delta table at .*gold/releases"):
        read_release(str(tmp_path), "demo")
