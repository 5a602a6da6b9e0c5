"""Two jobs never work on one local lake at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.errors import BadInput, LakeInUse
from lakehouse.lock import hold

HOLD_AND_WAIT = """
import sys
from lakehouse.lock import hold

with hold(sys.argv[1], "describe_images"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_job_is_told_who_holds_the_lake(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_AND_WAIT, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with (
            pytest.raises(LakeInUse, match=rf"in use by describe_images \(process {other.pid}\)"),
            hold(str(tmp_path), "x"),
        ):
            pass
        other.kill()
    with hold(str(tmp_path), "x"):  # the dead hold nothing
        assert (tmp_path / "_lock").exists()


def test_a_lake_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot use"), hold(str(tmp_path / "file" / "lake"), "x"):
        pass


def test_a_bucket_is_not_locked() -> None:
    with hold("s3a://bucket/lake", "x"):
        pass
    assert not Path("s3a:").exists()
