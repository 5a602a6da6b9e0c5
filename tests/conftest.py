"""What all tests share: a JVM, lakes to work on, and one that the whole path has gone through."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from schemas import TABLES
from tests.world import world as world  # a fixture is what a conftest names

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lakehouse.lake import Lake

# What other people wrote takes long to install: `make test-servers`, `make test-consumers` and `make test-petastorm`
# name the folders, and then they are collected.
collect_ignore = ["servers", "consumers", "petastorms_own"]

# Before PyTorch is imported: models of a few thousand weights lose more to a second thread than they gain.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one process have all tests that look at the world, and another a whole file; what takes long comes first."""
    for item in items:
        shared = "world" if "world" in getattr(item, "fixturenames", ()) else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(shared))
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[SparkSession]":
    from lakehouse.session import connect

    session = connect("tests", logs=str(tmp_path_factory.mktemp("logs")))
    yield session
    session.stop()


@pytest.fixture(scope="session")
def open_at(spark: "SparkSession") -> "Callable[[Path], Lake]":
    from lakehouse.lake import open_lake

    def at(root: Path) -> "Lake":
        root.mkdir(exist_ok=True)
        return open_lake(str(root), spark=spark, tables=TABLES, run_id="test")

    return at


@pytest.fixture
def lake(open_at: "Callable[[Path], Lake]", tmp_path: Path) -> "Lake":
    return open_at(tmp_path / "lake")
