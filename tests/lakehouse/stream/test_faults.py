"""What faults and their quota promise."""

import errno
import os

import pyarrow as pa
import pytest

from lakehouse.errors import StreamError
from lakehouse.stream.faults import Fault, Quota, is_corruption


def test_rows_are_skipped_up_to_the_quota() -> None:
    quota = Quota(3)
    quota.spend(Fault("corrupt_row_group", "bad page", "f", 2), 3)
    with pytest.raises(StreamError, match=r"skipped 4 rows, more than max_skipped=3: 3 corrupt_row_group, 1 no_text"):
        quota.spend(Fault("no_text", "none", "f", 4), 1)


def test_a_fault_is_recorded_once() -> None:
    quota, fault = Quota(9), Fault("corrupt_row_group", "bad page", "f", 2)
    quota.spend(fault, 1)
    quota.spend(fault, 1)
    assert (list(quota.faults), quota.skipped["corrupt_row_group"]) == ([fault], 2)


@pytest.mark.parametrize("error", [OSError("CRC checksum verification failed"), pa.ArrowInvalid("bad magic")])
def test_damaged_bytes_are_corruption(error: Exception) -> None:
    assert is_corruption(error)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOENT, errno.ECONNRESET])
def test_a_failing_machine_is_not_corruption(number: int) -> None:
    assert not is_corruption(OSError(number, os.strerror(number)))
