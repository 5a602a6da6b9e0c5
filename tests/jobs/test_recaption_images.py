"""RECAP's captions: two answers a sample become one row, whichever came first, and what cannot be used has a reason."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import functions as F

from jobs import recaption_images
from jobs.asking import Asking
from lakehouse.lake import Lake
from schemas.ops import REJECTS
from schemas.silver import RECAPTIONS, RESPONSES, SAMPLES
from tests.jobs.intake import add, pairs_of
from tests.jobs.pictures import picture
from udfs.prompts import read_prompt
from udfs.tasks import RECAP_SHORT

pytestmark = [pytest.mark.spark, pytest.mark.slow]

TEXTS = {"kite.png": "A kite at the beach", "boat.png": "A boat on the river"}


def samples(texts: dict[str, str], *, begin: int = 1) -> pa.RecordBatch:
    """Return rows of silver.samples, but for run_id."""
    pairs = pairs_of({name: (picture(begin + place), text) for place, (name, text) in enumerate(texts.items())})
    nothing = pa.array([[] for _ in texts], pa.list_(pa.string()))
    kept = pairs.select(["sample_id", "image_id", "image", "alt_text", "width", "height"])
    return kept.append_column("web_tags", nothing).append_column("colours", nothing)


def recaption(lake: Lake, model: str, **settings: object) -> dict[str, int]:
    config = recaption_images.Config(lake=lake.root, model=model, **settings)  # type: ignore[arg-type]
    return dict(recaption_images.JOB.run(lake, config))


@pytest.fixture(scope="module")
def lake(open_at: Callable[[Path], Lake], tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake in which the short captions of two samples were asked for in a run that did not get to the long ones."""
    lake = open_at(tmp_path_factory.mktemp("recap") / "lake")
    add(lake, SAMPLES, samples(TEXTS))
    config = recaption_images.Config(lake=lake.root)
    Asking(lake, config, RECAP_SHORT, read_prompt("recap_short")).ask_about_new("recaption_images/recap_short")
    return lake


@pytest.fixture(scope="module")
def counts(lake: Lake) -> dict[str, dict[str, int]]:
    """What each run said, one after the other."""
    found = {"planned": recaption(lake, "rules://", dry_run=True), "first": recaption(lake, "rules://")}
    found["again"] = recaption(lake, "rules://")
    add(lake, SAMPLES, samples({"tree.png": "A tree in the field"}, begin=3))
    found["new"] = recaption(lake, "rules://")
    return found | {model: recaption(lake, f"fake://{model}") for model in ("broken", "fails", "identity")}


def test_a_run_counts_what_it_wrote(counts: dict[str, dict[str, int]]) -> None:
    asked = {"samples": 4, "answered_already": 2, "missed_before": 0, "requests_to_send": 2}
    assert counts == {
        "planned": asked,
        "first": {"rows": 2, "over_77_tokens": 0, "turned_away": 0},
        "again": {},
        "new": {"rows": 1, "over_77_tokens": 0, "turned_away": 0},
        "broken": {"rows": 3, "over_77_tokens": 0, "turned_away": 6},
        "fails": {"rows": 3, "over_77_tokens": 0, "turned_away": 6},
        "identity": {"rows": 3, "over_77_tokens": 0, "turned_away": 0},
    }


def test_both_captions_of_a_sample_stand_in_one_row(lake: Lake, counts: dict[str, dict[str, int]]) -> None:
    rows = lake.read(RECAPTIONS).where("model = 'rules://'").join(lake.read(SAMPLES), on="sample_id").collect()
    assert sorted(row.alt_text for row in rows) == sorted([*TEXTS.values(), "A tree in the field"])
    for row in rows:
        subject = row.alt_text.removeprefix("A ")
        assert subject in row.recap_short
        assert subject in row.recap_long
        assert len(row.recap_short) < len(row.recap_long)
        assert (row.recap_short_tokens < row.recap_long_tokens, row.is_recap_long_over_77) == (True, False)


def test_no_caption_is_read_from_another_answer(lake: Lake, counts: dict[str, dict[str, int]]) -> None:
    rows = lake.read(RECAPTIONS).where("model = 'fake://identity'").join(lake.read(SAMPLES), on="sample_id").collect()
    assert [row.recap_short for row in rows] == [f"recap_short of {row.image_id}" for row in rows]
    assert [row.recap_long for row in rows] == [f"recap_long of {row.image_id}" for row in rows]
    answers = {row.request_key: (row.sample_id, row.task) for row in lake.read(RESPONSES).collect()}
    assert [answers[row.recap_long_request_key] for row in rows] == [(row.sample_id, "recap_long") for row in rows]


def test_a_caption_that_was_turned_away_has_a_reason(lake: Lake, counts: dict[str, dict[str, int]]) -> None:
    rows = lake.read(REJECTS).select(F.split("stage", "@")[0].alias("stage"), "reason").collect()
    assert sorted((row.stage, row.reason) for row in rows) == sorted(
        3
        * [
            (f"recaption_images/{kind}/fake://{model}", reason)
            for kind in ("recap_short", "recap_long")
            for model, reason in (("broken", "refused"), ("fails", "model_error"))
        ]
    )
    nothing = lake.read(RECAPTIONS).where("model IN ('fake://broken', 'fake://fails')")
    assert nothing.where("recap_short IS NULL AND recap_long IS NULL").count() == nothing.count() == 6


def test_every_answer_is_paid_once(lake: Lake, counts: dict[str, dict[str, int]]) -> None:
    answers = lake.read(RESPONSES)
    assert answers.count() == answers.select("request_key").distinct().count() == 3 * 2 * 4
