"""The notebooks run against a small lake, and are kept without outputs."""

import base64
import functools
import io
from collections.abc import Callable, Mapping
from pathlib import Path

import nbformat
import pytest
from PIL import Image

from lakehouse.lake_mark import mark_text
from notebooks.execute import execute, main, notebooks
from schemas.bronze import PAIRS
from schemas.ops import REJECTS
from schemas.silver import RESPONSES, SELECTIONS
from tests.world import World

FILES = {file.stem: file for file in notebooks()}


@pytest.fixture(scope="module", params=FILES)
def file(request: pytest.FixtureRequest) -> Path:
    return FILES[request.param]


Outputs = Mapping[str, list[nbformat.NotebookNode]]
"""What the code cells of an executed notebook gave, by their ids."""


@pytest.fixture(scope="module")
def executed(world: World, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Outputs]:
    """Execute a notebook, once however often it is asked for, and return its outputs."""

    @functools.cache
    def of(name: str) -> Outputs:
        copy = execute(FILES[name], lake=world.lake.root, out=tmp_path_factory.mktemp("notebooks"))
        return {cell.id: cell.outputs for cell in code_cells(copy)}

    return of


@pytest.fixture(scope="module")
def queried(executed: Callable[[str], Outputs]) -> Outputs:
    return executed("query_the_lakehouse")


def code_cells(file: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(file, as_version=4).cells if cell.cell_type == "code"]


def printed(outputs: list[nbformat.NotebookNode]) -> str:
    return "".join(output.text for output in outputs if output.output_type == "stream")


def test_a_notebook_holds_no_outputs(file: Path) -> None:
    assert [cell.id for cell in code_cells(file) if cell.outputs or cell.execution_count] == []


def test_a_notebook_is_valid(file: Path) -> None:
    assert nbformat.validator.isvalid(nbformat.read(file, as_version=4))


def test_a_notebook_names_its_lake_in_one_cell_alone(file: Path) -> None:
    [cell] = [cell for cell in code_cells(file) if "build/demo" in cell.source]
    assert cell.source == 'LAKE = "build/demo/lake"'
    # The tag by which another lake is put in its place.
    assert "parameters" in cell.metadata.tags


def test_a_missing_lake_gives_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--lake", str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 1
    assert f"error: there is no lake at {str(tmp_path / 'none')!r}: make demo builds one" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_cell_that_fails_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "_lakehouse.json").write_text(mark_text())
    bad = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0", id="halves")])
    nbformat.write(bad, tmp_path / "bad.ipynb")
    monkeypatch.setattr("notebooks.execute.notebooks", lambda: [tmp_path / "bad.ipynb"])
    assert main(["--lake", str(tmp_path / "lake"), "--out", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.startswith(
        "error: bad.ipynb failed in cell 'halves' with ZeroDivisionError: division by zero (see "
    )
    assert (tmp_path / "out" / "bad.ipynb").exists()


@pytest.mark.spark
@pytest.mark.slow
def test_every_cell_with_a_figure_draws_one(queried: Outputs) -> None:
    figures = {
        name: Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))
        for name, outputs in queried.items()
        for output in outputs
        if "image/png" in output.get("data", {})
    }
    wanted = {"came-in-plot", "four-texts", "tags", "overlap", "lengths", "look-alikes", "stream-grid"}
    assert set(figures) == wanted
    assert [name for name, figure in figures.items() if len(figure.getcolors(1 << 24) or ()) < 3] == [], "all blank"


@pytest.mark.spark
@pytest.mark.slow
def test_no_cell_warns(executed: Callable[[str], Outputs], file: Path) -> None:
    lines = [
        line
        for outputs in executed(file.stem).values()
        for output in outputs
        if output.get("name") == "stderr"
        for line in output.text.splitlines()
    ]
    # Matplotlib says so once on every new machine.
    assert [line for line in lines if "font cache" not in line] == []


@pytest.mark.spark
@pytest.mark.slow
def test_the_pairs_that_came_in_are_counted(queried: Outputs, world: World) -> None:
    came_in = world.lake.read(PAIRS).count() + world.lake.read(REJECTS).where("stage = 'ingest_pairs'").count()
    selected = world.lake.read(SELECTIONS).where("selection = 'default'").count()
    assert f"{came_in:,} pairs came in, {selected:,} were selected" in printed(queried["came-in"])


@pytest.mark.spark
@pytest.mark.slow
def test_the_trace_leads_to_a_file_of_the_source(queried: Outputs, world: World) -> None:
    found = dict(line.split(maxsplit=1) for line in printed(queried["trace"]).splitlines())
    assert (world.source / found["source_uid"]).exists()
    assert world.lake.read(RESPONSES).where(f"prompt_hash = '{found['prompt_hash']}'").count() > 0
    assert found["job"] == "describe_images"
