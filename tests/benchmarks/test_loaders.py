import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.stream import loaders
from benchmarks.stream.lakes import make_lake
from benchmarks.stream.loaders import multigrain, torch_row_groups
from benchmarks.stream.loaders.order import order_figures
from benchmarks.stream.loaders.rows import in_batches, mixed, rows
from benchmarks.stream.loaders.run import figures, is_square_of, read

HERE = Path(loaders.__file__).parent


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("lake")
    make_lake(root, rows=600, side=256)
    return root


@pytest.mark.parametrize(
    ("loader", "setting"), [(multigrain, {"threads": 2}), (torch_row_groups, {"workers": 0, "threads": 2})]
)
def test_a_loader_gives_every_row_with_its_own_text(loader, setting, lake: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    loader.convert(lake, tmp_path)
    found = figures(read(loader.batches(tmp_path, **setting)), {row["sample_id"]: row for row in rows(lake)}, 0.0)
    assert (found["distinct"], found["batches"]) == (600, 3)


def test_a_text_of_another_row_is_found(lake: Path, tmp_path: Path) -> None:
    truth = {row["sample_id"]: row for row in rows(lake)}
    one, other = list(truth)[:2]
    truth[one]["text"], truth[other]["text"] = truth[other]["text"], truth[one]["text"]
    multigrain.convert(lake, tmp_path)
    with pytest.raises(ValueError, match="has the text"):
        figures(read(multigrain.batches(tmp_path, threads=2)), truth, 0.0)


def test_an_image_of_another_row_is_found(lake: Path) -> None:
    one, other = [row["image"] for row in rows(lake)][:2]
    square = np.asarray(cv2.imdecode(np.frombuffer(one, np.uint8), cv2.IMREAD_COLOR_RGB))[7:231, 32:]
    assert is_square_of(square, one)
    assert not is_square_of(square, other)


def test_rows_are_numbered_as_they_are_stored(lake: Path) -> None:
    stored = pq.read_table(sorted((lake / "gold" / "training").glob("*.parquet"))[0]).column("sample_id").to_pylist()
    assert [(row["number"], row["sample_id"]) for row in rows(lake)] == list(enumerate(stored))


@given(st.lists(st.integers()), st.integers(1, 9), st.integers(1, 9))
def test_mixing_keeps_every_row(items: list[int], buffer: int, size: int) -> None:
    batches = list(in_batches(mixed(items, buffer=buffer), size))
    assert sorted(item for batch in batches for item in batch) == sorted(items)
    assert all(len(batch) == size for batch in batches[:-1])


def test_rows_in_stored_order_have_not_moved() -> None:
    assert order_figures(range(9)) == {"distinct": 9, "mixing_distance": 0, "neighbour_distance": 1}


def test_blocks_that_change_places_move_their_rows_yet_part_no_neighbours() -> None:
    found = order_figures([*range(500, 1000), *range(500)])
    assert (found["mixing_distance"], found["neighbour_distance"]) == (500, 2)


def test_rows_that_are_missing_move_nobody() -> None:
    assert order_figures([0, 2, 8]) == {"distinct": 3, "mixing_distance": 0, "neighbour_distance": 0}


def test_every_loader_has_its_module() -> None:
    for name in loaders.LOADERS:
        assert importlib.util.find_spec(f"benchmarks.stream.loaders.{name}")


def test_every_environment_has_its_pins() -> None:
    named = {loader.environment for loader in loaders.LOADERS.values() if loader.environment}
    assert {file.stem.removeprefix("requirements-") for file in HERE.glob("requirements-*.txt")} == named
