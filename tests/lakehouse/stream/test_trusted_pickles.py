"""Whose pickles are opened, and what gets through."""

import io
import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.errors import BadInput, StreamError
from lakehouse.stream import bridge
from lakehouse.stream.trusted_pickles import KEYS

from petastorm import make_batch_reader, make_reader  # isort: skip # the bridge first
from petastorm.codecs import NdarrayCodec  # isort: skip
from petastorm.etl.dataset_metadata import ROW_GROUPS_PER_FILE_KEY  # isort: skip
from petastorm.etl.rowgroup_indexers import SingleFieldIndexer  # isort: skip
from petastorm.predicates import in_lambda  # isort: skip
from petastorm.selectors import SingleIndexSelector  # isort: skip
from petastorm.unischema import Unischema, UnischemaField  # isort: skip

ROWS = 40
SCHEMA = Unischema(
    "Pets",
    [
        UnischemaField("id", np.int64, ()),
        UnischemaField("name", np.str_, ()),
        UnischemaField("box", np.float32, (2, 2), NdarrayCodec(), False),
    ],
)


class Planted:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.path), "w")


def index() -> dict[str, SingleFieldIndexer]:
    """Return an index of the ids, as petastorm's own is: row groups of ten."""
    ids = SingleFieldIndexer("ids", "id")
    for group in range(ROWS // 10):
        ids.build_index([{"id": np.int64(row)} for row in range(10 * group, 10 * group + 10)], group)
    return {"ids": ids}


def write(folder: Path, schema: object = SCHEMA) -> Path:
    """Write a dataset as petastorm writes them, its pickles made by somebody else."""
    folder.mkdir(parents=True)
    boxes = [SCHEMA.box.codec.encode(SCHEMA.box, np.full((2, 2), row, np.float32)) for row in range(ROWS)]
    names = [f"pet {row}" for row in range(ROWS)]
    table = pa.table({"id": range(ROWS), "name": names, "box": pa.array(map(bytes, boxes), pa.binary())})
    pq.write_table(table, folder / "a.parquet", row_group_size=10)
    beside = {ROW_GROUPS_PER_FILE_KEY: json.dumps({"a.parquet": ROWS // 10}).encode()}
    pickles = dict(zip(KEYS, (pickle.dumps(schema), pickle.dumps(index())), strict=True))
    pq.write_metadata(table.schema.with_metadata({**beside, **pickles}), folder / "_common_metadata")
    return folder


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    return write(tmp_path / "pets")


def rows_of(folder: Path, **options: object) -> list[tuple[int, str, float]]:
    with make_reader(folder.as_uri(), workers_count=2, **options) as reader:
        return sorted((int(row.id), str(row.name), float(row.box.mean())) for row in reader)


EXPECTED = [(row, f"pet {row}", float(row)) for row in range(ROWS)]


@pytest.fixture
def trusted(pets: Path) -> Iterator[Path]:
    with bridge.trust(pets):
        yield pets


def test_a_named_dataset_is_read(trusted: Path) -> None:
    assert rows_of(trusted) == EXPECTED


def test_trust_ends_with_its_block(pets: Path) -> None:
    with bridge.trust(pets):
        assert rows_of(pets) == EXPECTED
    with pytest.raises(StreamError, match="refused"):
        rows_of(pets)


def test_trust_outside_a_block_lasts(tmp_path: Path) -> None:
    pets = write(tmp_path / "other pets")
    bridge.trust(pets.as_uri().replace("%20", " "))
    schema = bridge.trust(pets).place
    assert schema.endswith("/other pets")
    assert make_batch_reader(f"file://{pets}", reader_pool_type="dummy")


def test_a_link_is_as_trusted_as_what_it_leads_to(trusted: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(trusted)
    assert rows_of(tmp_path / "link") == EXPECTED


@pytest.mark.parametrize("named", ["", "pets/inner", "pets2", "pe"])
def test_trust_reaches_no_dataset_around_the_named_one(pets: Path, named: str) -> None:
    with bridge.trust(pets.parent / named), pytest.raises(StreamError, match="refused"):
        rows_of(pets)


def test_the_refusal_names_the_call_that_allows_it(pets: Path) -> None:
    with pytest.raises(StreamError, match=r"refused") as caught:
        rows_of(pets)
    call = str(caught.value).partition("lakehouse.stream.bridge.")[2].partition(" first")[0]
    assert call == f"trust('file://{pets}')"


def test_a_named_dataset_runs_no_foreign_code(tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    pets = write(tmp_path / "pets", schema=Planted(planted))
    with bridge.trust(pets), pytest.raises(StreamError, match=r"refused to unpickle io\.open"):
        rows_of(pets)
    assert not planted.exists()


@pytest.mark.parametrize(
    "stream",
    [
        b"cbuiltins\neval\n.",
        b"cnumpy\nload\n.",
        b"cnumpy\nmemmap\n.",
        b"cnumpy.f2py.diagnose\nrun\n.",
        b"cpetastorm.utils\nrun_in_subprocess\n.",
        b"cpyspark.cloudpickle\nloads\n.",
        b"cpyspark.sql.types\nUserDefinedType\n.",
        b"\x80\x04\x8c\x05numpy\x8c\x0bstr_.format\x93.",
    ],
)
def test_only_what_describes_columns_gets_through(stream: bytes) -> None:
    from lakehouse.stream import trusted_pickles

    with pytest.raises(StreamError, match=r"no class that describes a column"):
        trusted_pickles._Schemas(io.BytesIO(stream)).load()


def test_a_schema_of_python_2_is_understood() -> None:
    from lakehouse.stream import trusted_pickles

    stream = b"cav.ml.dataset_toolkit.unischema\nUnischemaField\n(V a\ncnumpy\nunicode_\n(tNI00\nt\x81."
    field = trusted_pickles._Schemas(io.BytesIO(stream)).load()
    assert (field.numpy_dtype, field.shape, field.nullable) == (np.str_, (), False)


def test_what_this_process_has_pickled_it_opens(pets: Path, tmp_path: Path) -> None:
    from petastorm.etl import dataset_metadata

    own = tmp_path / "own"
    own.mkdir()
    pq.write_table(pq.read_table(pets / "a.parquet"), own / "a.parquet", row_group_size=10)
    dataset = dataset_metadata.pq.ParquetDataset(str(own))
    dataset_metadata._generate_unischema_metadata(dataset, SCHEMA)
    dataset_metadata.utils.add_to_dataset_metadata(
        dataset, ROW_GROUPS_PER_FILE_KEY, json.dumps({"a.parquet": ROWS // 10})
    )
    assert rows_of(own) == EXPECTED


def test_an_index_that_this_process_has_pickled_is_opened() -> None:
    from petastorm.etl import rowgroup_indexing

    pickled = rowgroup_indexing.pickle.dumps(index(), rowgroup_indexing.pickle.HIGHEST_PROTOCOL)
    opened = rowgroup_indexing.depickle_legacy_package_name_compatible(pickled)
    assert opened["ids"].get_row_group_indexes(np.int64(12)) == {1}


def test_an_index_of_row_groups_selects(trusted: Path) -> None:
    selected = rows_of(trusted, rowgroup_selector=SingleIndexSelector("ids", [np.int64(12)]))
    assert selected == EXPECTED[10:20]


def test_worker_processes_need_no_trust_of_their_own(pets: Path) -> None:
    wanted = in_lambda(["id"], lambda row: row % 2 == 0)
    with bridge.trust(pets):
        reader = make_reader(pets.as_uri(), reader_pool_type="process", workers_count=1, predicate=wanted)
    with reader:
        assert sorted(int(row.id) for row in reader) == list(range(0, ROWS, 2))


def test_what_begins_with_no_bucket_cannot_be_trusted() -> None:
    with pytest.raises(BadInput, match=r"cannot trust 'hdfs://here/pets'"):
        bridge.trust("hdfs://here/pets")
