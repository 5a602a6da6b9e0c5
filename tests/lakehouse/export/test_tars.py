"""Headers of a tar are those of Python's own module."""

import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.export.tars import header_of


@given(name=st.text("0123456789abcdef", min_size=1, max_size=90), size=st.integers(0, 8**11 - 1))
def test_a_header_is_what_tarfile_writes(name: str, size: int) -> None:
    info = tarfile.TarInfo(f"{name}.jpg")
    info.size = size
    assert header_of(f"{name}.jpg", size) == info.tobuf(tarfile.USTAR_FORMAT)


def test_a_name_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected at most 100 bytes"):
        header_of("x" * 101, 1)
