"""`make demo` from end to end, on the few photographs that it falls back to where there is no apt."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import deltalake
import pytest

from demo.run import main
from schemas import TABLES

pytestmark = [pytest.mark.spark, pytest.mark.train, pytest.mark.slow]


def demo(out: Path) -> int:
    return main(["--out", str(out), "--max-steps", "2"])


@pytest.fixture(scope="module")
def out(spark: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where a demo has left its things, on a machine without apt; each training is cut to two steps."""
    folder = tmp_path_factory.mktemp("demo") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", path_without_apt(folder.parent / "bin"))
        assert demo(folder) == 0
        yield folder


def path_without_apt(folder: Path) -> str:
    """Return a PATH with nothing on it but Java, where Java is not known by JAVA_HOME alone."""
    folder.mkdir()
    java = shutil.which("java")
    if java:
        (folder / "java").symlink_to(java)
    return str(folder)


def rows(lake: Path) -> dict[str, int]:
    paths = {table.name: str(lake.joinpath(*table.name.split("."))) for table in TABLES}
    there = {name: path for name, path in paths.items() if deltalake.DeltaTable.is_deltatable(path)}
    return {name: deltalake.DeltaTable(path).to_pyarrow_dataset().count_rows() for name, path in there.items()}


@pytest.fixture(scope="module")
def summary(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return found


def test_every_pair_is_selected_or_turned_away(out: Path, summary: dict[str, Any]) -> None:
    fetched = (out / "data" / "photographs" / "metadata.jsonl").read_text().splitlines()
    assert summary["pairs_ingested"] == len(fetched) > 15
    assert summary["pairs_ingested"] == summary["pairs_selected"] + sum(summary["rejected"].values())


def test_the_summary_holds_every_figure(summary: dict[str, Any]) -> None:
    assert summary["captions"] == summary["release"]["rows"] == summary["pairs_selected"]
    assert set(summary["release"]) == {"name", "table_version", "rows", "digest"}
    assert summary["train"]["steps"] == 2
    assert summary["train"]["samples_per_second"] > 0
    for name in ("alt_text", "mix"):
        assert summary["retrieval"][name]["n"] > 0
        assert all(0 <= summary["retrieval"][name][way][r] <= 1 for way in ("t2i", "i2t") for r in ("r1", "r5", "r10"))
    assert {"ingest_pairs", "train_clip_mix", "report_lakehouse", "total"} <= set(summary["seconds"])


def test_the_report_is_there(out: Path) -> None:
    page = (out / "report.html").read_text()
    assert page.count("<article") > 10
    assert "Left out" not in page


def test_a_second_demo_adds_no_row(out: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = rows(out / "lake")
    assert demo(out) == 0
    assert rows(out / "lake") == before
    told = capfd.readouterr()
    assert "pairs selected" in told.out
    assert told.err.count("nothing new") >= 12
