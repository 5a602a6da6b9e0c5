"""Of pairs that repeat one another, the first that the filter lets through stays, however they came and were cut."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow.compute as pc
import pytest
from delta.tables import DeltaTable
from PIL import Image
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs import dedup_pairs, select_pairs
from jobs.dedup_pairs import find_repeats, place_texts
from jobs.select_pairs import judge
from lakehouse.errors import BadInput, JoinAuditFailed
from lakehouse.lake import Lake
from lakehouse.table import Table
from schemas.bronze import PAIRS
from schemas.ops import REJECTS
from schemas.silver import DUPLICATES, SELECTIONS, SIGNALS
from tests.jobs.intake import Pictures, add, names, pairs_of, take_in
from tests.jobs.pictures import picture
from udfs import filters
from udfs.measure import measure

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.spark, pytest.mark.slow]


def curate(lake: Lake, selection: str = "default", where: str = "") -> dict[str, int]:
    dedup_pairs.JOB.run(lake, dedup_pairs.Config(lake.root))
    return dict(select_pairs.JOB.run(lake, select_pairs.Config(lake.root, selection, where=where)))


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


class LakeInSmallBatches(Lake):
    """A lake whose streams take in one file a batch."""

    def stream(self, table: Table, *, batch_bytes: int, needs: str) -> DataFrame:
        return super().stream(table, batch_bytes=1, needs=needs)


WAVES: Final[Sequence[Pictures]] = (
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
)

ALIKE_IN_A_WAVE: Final = {"a0.png", "a1.png", "b0.png", "b2.png"}


def test_what_stays_does_not_depend_on_how_pairs_were_cut_into_batches(
    open_at: Callable[[Path], Lake], tmp_path: Path
) -> None:
    in_waves, cut = open_at(tmp_path / "in_waves"), open_at(tmp_path / "cut")
    cut = LakeInSmallBatches(cut.root, cut.spark, cut.tables, cut.run_id)
    for wave in WAVES:
        came = datetime.now(UTC)
        take_in(in_waves, wave, at=came)
        curate(in_waves)
        pairs = pairs_of(wave, at=came)
        # Of two alike that came at one time the greater id is the later: here it is in the earlier batch.
        last = max(row["sample_id"] for row in pairs.to_pylist() if row["source_uid"] in ALIKE_IN_A_WAVE)
        is_last = pc.equal(pairs["sample_id"], last)
        for part in (pairs.filter(is_last), pairs.filter(pc.invert(is_last))):
            add(cut, PAIRS, part)
            add(cut, SIGNALS, measure(part).drop_columns(["reason", "detail"]))
    curate(cut)
    assert selected(cut) == selected(in_waves)
    assert turned_away(cut) == turned_away(in_waves)
    assert {"a3.png", "b0.png"} <= set(selected(cut))
    stays = {stays for reason, stays in turned_away(cut).values() if reason.endswith("_duplicate")}
    assert stays <= set(selected(cut)), "a pair is only turned away for one that stays"
    assert len(selected(cut)) == 3


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def signals(lake: Lake, *rows: tuple[str, str, int, int, list[int], float]) -> DataFrame:
    """Return signals of (sample_id, image_id, minutes after noon, phash, mean_rgb, flat_share)."""
    came = [(name, image, NOON + timedelta(minutes=at), *rest) for name, image, at, *rest in rows]
    kinds = "sample_id STRING, image_id STRING, ingested_at TIMESTAMP, phash BIGINT, mean_rgb ARRAY<INT>"
    return lake.spark.createDataFrame(came, f"{kinds}, flat_share DOUBLE")


def test_look_alikes_are_near_in_hash_as_well_as_in_colour(lake: Lake) -> None:
    grey, red = [100, 100, 100], [160, 40, 40]
    first = 0x0123_4567_89AB_CDEF
    others = {
        "three bits in three parts": (first ^ (1 | 1 << 16 | 1 << 32), grey, 0.5),
        "four bits": (first ^ (2 | 2 << 16 | 2 << 32 | 2 << 48), grey, 0.5),
        "three bits in the sign's part": (first ^ (-1 << 61), grey, 0.5),
        "a little darker": (first, [84, 100, 100], 0.5),
        "too much darker": (first, [83, 100, 100], 0.5),
        "another colour": (first, red, 0.5),
        "nearly blank": (first, grey, 0.99),
    }
    rows = [(name, f"image of {name}", at, *rest) for at, (name, rest) in enumerate(others.items(), start=1)]
    known = signals(lake, ("first", "image", 0, first, grey, 0.5), *rows)
    found = find_repeats(known, known, dedup_pairs.Config(lake.root)).collect()
    assert {row.sample_id: (row.earlier_id, row.kind, row.distance) for row in found} == {
        "three bits in three parts": ("first", "perceptual", 3),
        "three bits in the sign's part": ("first", "perceptual", 3),
        "a little darker": ("first", "perceptual", 0),
        # Not like the first, but like the one that is a little darker.
        "too much darker": ("a little darker", "perceptual", 0),
    }


def test_the_earliest_is_what_is_repeated(lake: Lake) -> None:
    grey = [100, 100, 100]
    known = signals(
        lake,
        ("z came first", "one", 0, 7, grey, 0.99),
        ("b", "one", 5, 7, grey, 0.99),
        ("a", "one", 5, 7, grey, 0.99),
    )
    new = known.where("sample_id <> 'z came first'")
    found = find_repeats(new, known, dedup_pairs.Config(lake.root)).collect()
    assert {(row.sample_id, row.earlier_id, row.kind) for row in found} == {
        ("a", "z came first", "exact"),
        ("b", "z came first", "exact"),
    }
    tied = find_repeats(new, new, dedup_pairs.Config(lake.root)).collect()
    assert [(row.sample_id, row.earlier_id) for row in tied] == [("b", "a")]


SOUND: Final[dict[str, object]] = {
    "width": 64,
    "height": 48,
    "aspect": 1.3,
    "flat_share": 0.5,
    "entropy": 4.0,
    "words": 5,
    "chars": 30,
    "is_file_name": False,
    "has_url": False,
    "has_email": False,
    "has_html": False,
    "alt_text": "A kite over the long beach",
    "repetition": 0.1,
    "language": "en",
    "language_score": 0.9,
    "text_place": 1,
}


@pytest.fixture(scope="module")
def verdicts(spark: "SparkSession") -> dict[str, str | None]:
    """What the default filter says of a sound pair with one fact changed, by that fact."""
    facts: dict[str, dict[str, object]] = {
        "sound": {},
        "small": {"height": 31},
        "at the edge of small": {"height": 32},
        "long": {"aspect": 5.5},
        "flat": {"flat_share": 0.99},
        "of one grey": {"entropy": 0.1},
        "one letter": {"words": 1, "chars": 1},
        "file name": {"is_file_name": True},
        "address": {"has_url": True},
        "mail": {"has_email": True},
        "markup": {"has_html": True},
        "memory": {"alt_text": "HASH(0x85cd6ec)"},
        "repeats": {"repetition": 0.7},
        "surely Finnish": {"language": "fi"},
        "perhaps Finnish": {"language": "fi", "language_score": 0.5},
        "two words of Finnish": {"language": "fi", "words": 2},
        "worn": {"text_place": 51},
        "entropy unknown": {"entropy": None},
        "small, with an address": {"height": 31, "has_url": True},
    }
    kinds = {bool: "BOOLEAN", int: "INT", float: "DOUBLE", str: "STRING"}
    schema = ", ".join(f"{name} {kinds[type(value)]}" for name, value in SOUND.items())
    rows = [(name, *(SOUND | changed).values()) for name, changed in facts.items()]
    judged = judge(spark.createDataFrame(rows, f"name STRING, {schema}"), filters.DEFAULT)
    return {row.name: row.reason for row in judged.select("name", "reason").collect()}


def test_each_rule_of_the_default_filter_turns_its_pair_away(verdicts: dict[str, str | None]) -> None:
    assert verdicts == {
        "sound": None,
        "small": "too_small",
        "at the edge of small": None,
        "long": "extreme_aspect",
        "flat": "no_detail",
        "of one grey": "no_detail",
        "one letter": "too_few_words",
        "file name": "file_name_text",
        "address": "machine_text",
        "mail": "machine_text",
        "markup": "machine_text",
        "memory": "machine_text",
        "repeats": "repetitive_text",
        "surely Finnish": "other_language",
        "perhaps Finnish": None,
        "two words of Finnish": None,
        "worn": "worn_text",
        "entropy unknown": "no_detail",
        "small, with an address": "too_small",
    }
    assert {*verdicts.values()} == {None, *filters.DEFAULT}


def test_a_filter_of_nothing_lets_all_through_but_for_what_is_asked(spark: "SparkSession") -> None:
    facts = spark.createDataFrame([(1,), (9,), (None,)], "words INT")
    assert [row.reason for row in judge(facts, filters.rules_of("none")).collect()] == [None] * 3
    asked = judge(facts, filters.rules_of("none", "words > 2")).collect()
    assert [row.reason for row in asked] == ["by_request", None, "by_request"]


def test_a_worn_text_is_placed_by_the_images_that_came_before(spark: "SparkSession") -> None:
    kinds = "sample_id STRING, text_hash BIGINT, ingested_at TIMESTAMP, kind STRING"
    came = [("d", 1, 1, None), ("c", 1, 2, None), ("b", 1, 2, "perceptual"), ("a", 1, 3, None), ("e", 2, 1, None)]
    new = spark.createDataFrame(
        [(name, text, NOON + timedelta(minutes=at), kind) for name, text, at, kind in came], kinds
    )
    known = spark.createDataFrame([(1, 7), (1, 8)], "text_hash BIGINT, text_place INT")
    places = {row.sample_id: row.text_place for row in place_texts(new, known).collect()}
    assert places == {"d": 9, "b": 9, "c": 10, "a": 11, "e": 1}


def test_pairs_that_were_not_compared_are_not_chosen(lake: Lake) -> None:
    take_in(lake, {"b.png": (picture(2), "A boat")})
    lake.create(DUPLICATES)
    with pytest.raises(JoinAuditFailed, match="1 of 1 rows have no match by sample_id: run dedup_pairs first"):
        select_pairs.JOB.run(lake, select_pairs.Config(lake.root))


def test_what_came_together_is_measured_before_it_is_compared(lake: Lake) -> None:
    take_in(lake, {"a.png": (picture(1), "A kite"), "b.png": (darker(1, 2), "A kite too")})
    first = min(row.sample_id for row in lake.read(SIGNALS).select("sample_id").collect())
    DeltaTable.forPath(lake.spark, lake.path(SIGNALS)).delete(F.col("sample_id") == first)
    with pytest.raises(JoinAuditFailed, match="1 of 2 rows have no match by sample_id: run measure_pairs first"):
        dedup_pairs.JOB.run(lake, dedup_pairs.Config(lake.root))


def test_a_filter_that_differs_each_time_is_refused(lake: Lake) -> None:
    with pytest.raises(BadInput, match=r"not the same twice.*hash\(sample_id\) % 10 = 0"):
        select_pairs.run(lake, select_pairs.Config(lake.root, where="rand() < 0.1"))


def test_a_lake_keeps_what_makes_look_alikes(lake: Lake) -> None:
    take_in(lake, {"a.png": (picture(1), "A kite")})
    dedup_pairs.JOB.run(lake, dedup_pairs.Config(lake.root, max_bits=2))
    with pytest.raises(BadInput, match=r"are found by --max-bits 2 --max-colour 16 --max-flat 0[.]98: keep to that"):
        dedup_pairs.JOB.run(lake, dedup_pairs.Config(lake.root))


def test_a_selection_keeps_its_filter(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def choose(selection: str = "default", where: str = "") -> dict[str, int]:
        return dict(select_pairs.JOB.run(lake, select_pairs.Config(lake.root, selection, where=where)))

    take_in(lake, {"a.png": (picture(1), "A kite"), "b.png": (picture(2), "A boat by day")})
    curate(lake)
    with pytest.raises(BadInput, match="selection 'default' was made with another filter: give this one a name"):
        choose(where="words > 2")
    assert choose(selection="wordy", where="words > 300") == {"rows": 2, "selected": 0, "rejected": 2}
    with pytest.raises(BadInput, match="selection 'wordy' was made with another filter"):
        choose(selection="wordy", where="words > 2")
    monkeypatch.setattr(filters, "FILTERS", {"default": {"too_small": "least(width, height) >= 33"}})
    with pytest.raises(BadInput, match="selection 'default' was made with another filter"):
        choose()
