"""What the bridge promises to those who use petastorm."""

import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import ParseResult

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.errors import MissingPart, StreamError
from lakehouse.stream import bridge

from petastorm import make_batch_reader, make_reader  # isort: skip # the bridge first
from petastorm.hdfs.namenode import HAHdfsClient, HdfsConnector  # isort: skip
from petastorm.predicates import in_lambda  # isort: skip
from petastorm.workers_pool import EmptyResultError  # isort: skip
from petastorm.workers_pool.thread_pool import ThreadPool  # isort: skip
from petastorm.workers_pool.ventilator import ConcurrentVentilator  # isort: skip
from petastorm.workers_pool.worker_base import WorkerBase  # isort: skip


class Planted:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.path), "w")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with 1,000 rows in 40 row groups of two files."""
    for number in range(2):
        ids = np.arange(500 * number, 500 * number + 500)
        words = pa.array([f"text {row}" for row in ids], pa.large_string())
        pq.write_table(pa.table({"id": ids, "text": words}), tmp_path / f"{number}.parquet", row_group_size=25)
    return tmp_path


def ids_read(folder: Path, **options: object) -> list[int]:
    with make_batch_reader(folder.as_uri(), **options) as reader:
        return sorted(int(row) for batch in reader for row in batch.id)


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_an_epoch_never_ends_early(folder: Path, workers: int) -> None:
    for _ in range(8):
        assert ids_read(folder, workers_count=workers) == list(range(1000))


def months_read(folder: Path, **options: object) -> list[tuple[int, object]]:
    with make_batch_reader(folder.as_uri(), **options) as reader:
        return sorted((int(id_), month) for batch in reader for id_, month in zip(batch.id, batch.month, strict=True))


def in_months(folder: Path, months: list[str]) -> Path:
    for row, month in enumerate(months):
        (folder / f"month={month}").mkdir()
        pq.write_table(pa.table({"id": [row]}), folder / f"month={month}" / "part.parquet")
    return folder


def test_partitions_may_have_leading_zeros(tmp_path: Path) -> None:
    in_months(tmp_path, ["12", "02", "01"])
    assert months_read(tmp_path) == [(0, 12), (1, 2), (2, 1)]
    assert months_read(tmp_path, filters=[("month", "=", 2)]) == [(1, 2)]


def test_partitions_of_one_number_stay_apart(tmp_path: Path) -> None:
    assert months_read(in_months(tmp_path, ["1", "01", "10"])) == [(0, 1), (1, 1), (2, 10)]


def test_partitions_are_texts_where_one_is_no_number(tmp_path: Path) -> None:
    assert months_read(in_months(tmp_path, ["02", "may"])) == [(0, "02"), (1, "may")]


class Echo(WorkerBase):  # type: ignore[misc] # petastorm has no types
    """Publishes its item at once, so that the workers are often idle while more is on its way to them."""

    def process(self, item: int) -> None:
        self.publish_func(item)


@pytest.mark.usefixtures("eager_switches")
def test_the_thread_pool_waits_for_what_is_still_on_its_way() -> None:
    for _ in range(60):
        pool = ThreadPool(2)
        items = [{"item": number} for number in range(31)]
        ventilator = ConcurrentVentilator(
            pool.ventilate, items, max_ventilation_queue_size=8, ventilation_interval=0.0005
        )
        pool.start(Echo, ventilator=ventilator)
        assert sorted(results_of(pool)) == list(range(31))
        pool.stop()
        pool.join()


def results_of(pool: ThreadPool) -> Iterator[int]:
    while True:
        try:
            yield pool.get_results()
        except EmptyResultError:
            return


def test_a_predicate_on_rows_works(folder: Path) -> None:
    wanted = in_lambda(["id"], lambda ids: ids.isin([3, 700]))
    assert ids_read(folder, predicate=wanted) == [3, 700]


def test_columns_in_folder_names_are_read(tmp_path: Path) -> None:
    for year in (2023, 2024):
        (tmp_path / f"year={year}").mkdir()
        pq.write_table(pa.table({"id": [year * 10, year * 10 + 1]}), tmp_path / f"year={year}" / "a.parquet")
    with make_batch_reader(tmp_path.as_uri(), filters=[("year", "=", 2024)]) as reader:
        assert [(batch.year.tolist(), batch.id.tolist()) for batch in reader] == [([2024, 2024], [20240, 20241])]


@pytest.mark.parametrize("make", [make_batch_reader, make_reader])
def test_a_folder_that_is_not_there_is_said_to_be_missing(folder: Path, make: object) -> None:
    with pytest.raises(FileNotFoundError, match=r"no such file or folder: '.*/nowhere'"):
        make((folder / "nowhere").as_uri())  # type: ignore[operator]


class NameNode:
    """Answers for some time, and then another name node has to."""

    def __init__(self, number: int) -> None:
        self.number = number

    def exists(self, path: str) -> str:
        if self.number == 0:
            raise OSError("this name node is on standby")
        return f"{path} by {self.number}"

    def get_capacity(self) -> int:
        return self.number


class Connector(HdfsConnector):  # type: ignore[misc] # petastorm has no types
    """Connects to name nodes in this process."""

    @classmethod
    def hdfs_connect_namenode(cls, url: ParseResult, driver: str = "", user: str | None = None) -> NameNode:
        return NameNode(int(str(url.hostname)))


def test_hdfs_is_asked_of_the_next_name_node_where_one_is_on_standby() -> None:
    client = HAHdfsClient(Connector, ["0", "1"])
    assert client.exists("/pets") == "/pets by 1"
    assert client.get_capacity() == 1


def test_pyarrow_is_left_as_it_was() -> None:
    assert not {"filesystem", "hdfs", "localfs"} & set(dir(pa))
    assert not {"pyarrow.filesystem", "pyarrow.hdfs"} & set(sys.modules)


def test_numpy_is_left_as_it_was() -> None:
    assert "unicode_" not in dir(np)


@pytest.mark.parametrize("key", [b"dataset-toolkit.unischema.v1", b"dataset-toolkit.rowgroups_index.v1"])
@pytest.mark.parametrize("make", [make_batch_reader, make_reader])
def test_a_pickle_in_a_foreign_dataset_is_refused(folder: Path, key: bytes, make: object) -> None:
    planted = folder.parent / "planted"
    schema = pa.schema([("id", pa.int64())], metadata={key: pickle.dumps(Planted(planted))})
    pq.write_metadata(schema, folder / "_common_metadata")
    with pytest.raises(StreamError, match=r"refused .*_common_metadata.*unpickling runs code that others wrote"):
        make(folder.as_uri())  # type: ignore[operator]
    assert not planted.exists()


def test_unpickling_is_refused_wherever_petastorm_does_it() -> None:
    from petastorm.etl import dataset_metadata, legacy, rowgroup_indexing

    for function in (
        legacy.restricted_loads,
        legacy.depickle_legacy_package_name_compatible,
        dataset_metadata.depickle_legacy_package_name_compatible,
        rowgroup_indexing.depickle_legacy_package_name_compatible,
    ):
        with pytest.raises(StreamError, match=r"refused to unpickle"):
            function(pickle.dumps(1))


def test_another_version_of_petastorm_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "version", lambda _: "0.14.0")
    with pytest.raises(MissingPart, match=r"petastorm 0.14.0 is installed, and the bridge knows only 0.13.1"):
        bridge.activate()


def test_the_bridge_builds_in_a_fresh_process() -> None:
    code = (
        "import lakehouse.stream.bridge, sys, petastorm; "
        "assert 'pyspark' not in sys.modules; print(petastorm.__version__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0.13.1"
