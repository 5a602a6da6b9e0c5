"""Gives the stream's tests their lakes."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from tests.lakehouse.stream.lakes import Lake, training_rows, write_lake

MakeLake = Callable[..., Lake]


@pytest.fixture
def eager_switches() -> Iterator[None]:
    """Let threads take turns so often that races show: petastorm alone loses items in a fifth of such rounds."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


@pytest.fixture
def make_lake(tmp_path: Path) -> MakeLake:
    """Return a function that writes a lake; its folder has a space in its name, as folders do."""

    def make(
        rows: pa.Table | int = 300,
        *,
        files: int = 3,
        group_rows: int = 16,
        deleted: Mapping[int, Sequence[int]] | None = None,
        **release: object,
    ) -> Lake:
        table = training_rows(rows) if isinstance(rows, int) else rows
        return write_lake(
            tmp_path / "a lake", table, files=files, group_rows=group_rows, deleted=deleted or {}, **release
        )

    return make


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Return a lake that nobody changes: 300 rows, 270 of them for training, in 21 row groups."""
    return write_lake(tmp_path_factory.mktemp("lake"), training_rows(300))
