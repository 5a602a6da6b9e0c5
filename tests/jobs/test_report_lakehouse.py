"""The report of real lakes: a whole one, an empty one, and one whose texts are hostile."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from jobs import ingest_pairs
from jobs.report_lakehouse import JOB, Config
from lakehouse.errors import BadInput
from lakehouse.lake import Lake
from schemas.gold import CAPTIONS
from schemas.ops import REJECTS, RUNS
from schemas.silver import SELECTIONS
from tests.udfs.report.parsed import parsed
from tests.udfs.report.reports import HOSTILE
from tests.world import World
from udfs.report.numbers import count
from udfs.report.queries import QUERIES

pytestmark = [pytest.mark.spark]


@dataclass(frozen=True)
class Written:
    """A page, what its job counted, and how many runs the lake had told of before."""

    text: str
    done: Mapping[str, int]
    runs: int


@pytest.fixture(scope="module")
def first(world: World, tmp_path_factory: pytest.TempPathFactory) -> Written:
    runs = world.lake.read(RUNS).count()
    out = tmp_path_factory.mktemp("report") / "out" / "report.html"
    done = JOB.run(world.lake, Config(world.lake.root, out=str(out), gallery=5))
    return Written(out.read_text(), done, runs)


@pytest.mark.slow
def test_a_whole_lake_is_told_of_with_its_own_counts(world: World, first: Written) -> None:
    selected, rejected = world.lake.read(SELECTIONS).count(), world.lake.read(REJECTS).count()
    assert f"{count(selected + rejected)} read = {count(selected)} selected + {count(rejected)} rejected" in first.text
    assert first.text.count("<article") > 5
    assert "looks like an earlier pair; one of its look-alikes stays" in first.text
    assert "Left out, as gold.evaluations is not there yet: evaluate_clip makes it." in first.text
    assert first.done["left_out"] == 8, "what was found thrice over, both figures of an audit, and what two models said"
    assert first.done["bytes"] == len(first.text.encode())
    assert world.lake.read(RUNS).count() == first.runs, "a report changes no table"


@pytest.mark.slow
def test_the_same_lake_shows_the_same_pairs(world: World, first: Written, tmp_path: Path) -> None:
    JOB.run(world.lake, Config(world.lake.root, out=str(tmp_path / "again.html"), gallery=5))
    once, again = shown(first.text), shown((tmp_path / "again.html").read_text())
    assert once == again
    assert len(once) >= min(5, world.lake.read(CAPTIONS).count())


def shown(page: str) -> list[str | None]:
    return [attributes["alt"] for tag, attributes in parsed(page).tags if tag == "img"]


def test_an_empty_lake_has_a_report(lake: Lake, tmp_path: Path) -> None:
    done = JOB.run(lake, Config(lake.root, out=str(tmp_path / "report.html")))
    assert done["left_out"] == len(QUERIES)
    assert "Left out, as bronze.pairs is not there yet" in (tmp_path / "report.html").read_text()


def test_a_lake_of_hostile_texts_gives_a_page_that_only_shows_them(
    open_at: Callable[[Path], Lake], tmp_path: Path
) -> None:
    source, lake = tmp_path / "pairs", open_at(tmp_path / "lake")
    _write_hostile(source)
    ingest_pairs.JOB.run(lake, ingest_pairs.Config(lake.root, str(source)))
    rows = lake.spark.createDataFrame(
        [(row.sample_id, "too_small") for row in lake.read(lake.tables["bronze.pairs"]).collect()],
        "row_id STRING, reason STRING",
    )
    from lakehouse.lake import Txn
    from lakehouse.rejects import reject

    reject(lake, REJECTS, rows, stage="select_pairs/default", txn=Txn("test", 1))
    out = tmp_path / "report.html"
    done = JOB.run(lake, Config(lake.root, out=str(out), each=len(HOSTILE)))
    page = parsed(out.read_text())
    assert done["images"] == len(HOSTILE)
    assert "<script>alert(1)</script>" in page.text
    assert not [name for name, _ in page.tags if name == "script"]
    assert not [key for _, attributes in page.tags for key in attributes if key.startswith("on")]


def _write_hostile(folder: Path) -> None:
    folder.mkdir()
    lines = []
    for number, text in enumerate(HOSTILE):
        Image.new("RGB", (20, 20), (number * 9, 80, 120)).save(folder / f"{number}.png")
        lines.append(json.dumps({"file_name": f"{number}.png", "text": text}))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n")


def test_a_bucket_is_no_place_for_the_page(lake: Lake) -> None:
    with pytest.raises(BadInput, match="expected a file of this machine"):
        JOB.run(lake, Config(lake.root, out="s3a://bucket/report.html"))
