"""Of pairs that repeat one another, the first that the filter lets through stays, however they came and were cut."""

import io
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from delta.tables import DeltaTable
from PIL import Image
from pyspark.sql import functions as F

from jobs import dedup_pairs, select_pairs
from lakehouse.errors import BadInput, JoinAuditFailed
from lakehouse.lake import Lake
from lakehouse.sources.source_row import ARROW_ROW
from schemas.bronze import PAIRS
from schemas.ops import REJECTS
from schemas.silver import DUPLICATES, SELECTIONS, SIGNALS
from tests.jobs.pictures import picture
from udfs import filters
from udfs.check import check
from udfs.image_check import Limits
from udfs.measure import measure

pytestmark = [pytest.mark.spark, pytest.mark.slow]


Pictures = Mapping[str, tuple[Image.Image, str]]
"""Name -> picture and text."""


def take_in(lake: Lake, pictures: Pictures) -> None:
    """Put pairs and their signals into the lake, as ingest_pairs and measure_pairs do but without their streams."""
    rows = [
        {"source": "here", "source_uid": name, "image": png(image), "alt_text": text}
        for name, (image, text) in pictures.items()
    ]
    batch = pa.RecordBatch.from_pylist(rows, ARROW_ROW)
    (checked,) = check([batch], Limits())
    assert set(checked["reason"].to_pylist()) == {None}
    now = pa.array([datetime.now(UTC)] * len(rows), pa.timestamp("us", tz="UTC"))
    pairs = checked.drop_columns(["reason", "detail"]).append_column("ingested_at", now)
    signals = measure(pairs).drop_columns(["reason", "detail"])
    for table, batch in ((PAIRS, pairs), (SIGNALS, signals)):
        lake.append(table, lake.spark.createDataFrame(pa.Table.from_batches([batch])))


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def curate(lake: Lake, selection: str = "default", where: str = "") -> dict[str, int]:
    dedup_pairs.JOB.run(lake, dedup_pairs.Config(lake.root))
    return dict(select_pairs.JOB.run(lake, select_pairs.Config(lake.root, selection, where=where)))


def names(lake: Lake, ids: Iterable[str]) -> list[str]:
    known = {row.sample_id: row.source_uid for row in lake.read(PAIRS).select("sample_id", "source_uid").collect()}
    return sorted(known[one] for one in ids)


def selected(lake: Lake, selection: str = "default") -> list[str]:
    rows = lake.read(SELECTIONS).where(F.col("selection") == selection).collect()
    return names(lake, (row.sample_id for row in rows))


def turned_away(lake: Lake) -> dict[str, tuple[str, str | None]]:
    """Return name -> reason and, of a duplicate, the name of the pair that stays."""
    rows = lake.read(REJECTS).where(F.col("stage").startswith("select_pairs")).collect()
    found = {names(lake, [row.row_id])[0]: row for row in rows}
    return {name: (row.reason, names(lake, [row.detail])[0] if row.detail else None) for name, row in found.items()}


def small(number: int) -> Image.Image:
    return picture(number).resize((24, 20), Image.Resampling.BICUBIC)


def darker(number: int, by: int) -> Image.Image:
    return picture(number).point(lambda value: max(value - by, 0))


def test_an_original_stays_where_its_thumbnail_came_first(lake: Lake) -> None:
    take_in(lake, {"thumb.png": (small(1), "A small kite"), "b.png": (picture(2), "A boat")})
    take_in(lake, {"kite.png": (picture(1), "A kite at the beach")})
    take_in(lake, {"copy.png": (darker(1, 2), "A kite again")})
    curate(lake)
    groups = {row.group_id for row in lake.read(DUPLICATES).where(F.col("kind").isNotNull()).collect()}
    assert names(lake, groups) == ["thumb.png"], "the thumbnail is what the others repeat"
    assert selected(lake) == ["b.png", "kite.png"]
    assert turned_away(lake) == {"thumb.png": ("too_small", None), "copy.png": ("perceptual_duplicate", "kite.png")}


def test_what_stays_does_not_depend_on_how_often_the_jobs_ran(open_at: Callable[[Path], Lake], tmp_path: Path) -> None:
    waves = [
        {
            "a0.png": (picture(1), "A kite"),
            "a1.png": (darker(1, 2), "A kite, darker"),
            "a2.png": (small(2), "Tiny"),
            "a3.png": (picture(3), "A tree"),
        },
        {
            "b0.png": (picture(2), "A boat"),
            "b1.png": (picture(1), "The kite again"),
            "b2.png": (darker(2, 2), "A boat at night"),
            "b3.png": (picture(3), "The tree again"),
        },
    ]
    at_once, in_waves = open_at(tmp_path / "at_once"), open_at(tmp_path / "in_waves")
    for wave in waves:
        take_in(in_waves, wave)
        curate(in_waves)
        take_in(at_once, wave)
    curate(at_once)
    assert selected(at_once) == selected(in_waves)
    assert turned_away(at_once) == turned_away(in_waves)
    assert {"a3.png", "b0.png"} <= set(selected(at_once))
    stays = {stays for reason, stays in turned_away(at_once).values() if reason.endswith("_duplicate")}
    assert stays <= set(selected(at_once)), "a pair is only turned away for one that stays"
    assert len(selected(at_once)) == 3


def test_a_worn_text_is_placed_by_the_images_that_came_before(lake: Lake) -> None:
    worn = {f"{number}.png": (picture(number), "Clip art") for number in range(4)}
    take_in(lake, worn | {"0b.png": (darker(0, 2), "Clip art")})
    counts = curate(lake, selection="few", where="text_place <= 3")
    assert sorted(row.text_place for row in lake.read(DUPLICATES).where(F.col("kind").isNull()).collect()) == [
        1,
        2,
        3,
        4,
    ]
    assert counts == {"rows": 5, "selected": 3, "rejected": 2}
    take_in(lake, {"9.png": (picture(9), "Clip art")})
    assert curate(lake, selection="few", where="text_place <= 3") == {"rows": 1, "selected": 0, "rejected": 1}


def test_pairs_that_were_not_compared_are_not_chosen(lake: Lake) -> None:
    take_in(lake, {"a.png": (picture(1), "A kite")})
    curate(lake)
    take_in(lake, {"b.png": (picture(2), "A boat")})
    with pytest.raises(JoinAuditFailed, match="1 of 1 rows have no match by sample_id: run dedup_pairs first"):
        select_pairs.JOB.run(lake, select_pairs.Config(lake.root))


def test_what_came_together_is_measured_before_it_is_compared(lake: Lake) -> None:
    take_in(lake, {"a.png": (picture(1), "A kite"), "b.png": (darker(1, 2), "A kite too")})
    first = min(row.sample_id for row in lake.read(SIGNALS).select("sample_id").collect())
    DeltaTable.forPath(lake.spark, lake.path(SIGNALS)).delete(F.col("sample_id") == first)
    with pytest.raises(JoinAuditFailed, match="1 of 2 rows have no match by sample_id: run measure_pairs first"):
        dedup_pairs.JOB.run(lake, dedup_pairs.Config(lake.root))


def test_a_selection_keeps_its_filter(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    take_in(lake, {"a.png": (picture(1), "A kite"), "b.png": (picture(2), "A boat by day")})
    curate(lake)
    with pytest.raises(BadInput, match="selection 'default' was made with another filter: give this one a name"):
        curate(lake, where="words > 2")
    assert curate(lake, selection="wordy", where="words > 300") == {"rows": 2, "selected": 0, "rejected": 2}
    with pytest.raises(BadInput, match="selection 'wordy' was made with another filter"):
        curate(lake, selection="wordy", where="words > 2")
    monkeypatch.setattr(filters, "FILTERS", {"default": {"too_small": "least(width, height) >= 33"}})
    with pytest.raises(BadInput, match="selection 'default' was made with another filter"):
        curate(lake)
