"""What a job cannot do is a row of ops.rejects, whichever job it is, and the others go on without it."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import functions as F

from jobs import build_vocabulary, dedup_pairs, describe_images, measure_pairs, publish_gold, select_pairs
from lakehouse.lake import Lake
from schemas.bronze import PAIRS
from schemas.gold import TRAINING
from schemas.ops import REJECTS
from schemas.silver import SIGNALS
from tests.jobs.intake import add, names, pairs_of
from tests.jobs.pictures import picture
from udfs.measure import measure

pytestmark = [pytest.mark.spark, pytest.mark.slow]


def describe(lake: Lake, model: str) -> dict[str, int]:
    return dict(describe_images.JOB.run(lake, describe_images.Config(lake=lake.root, model=model)))


def publish(lake: Lake, model: str) -> dict[str, int]:
    return dict(publish_gold.JOB.run(lake, publish_gold.Config(lake.root, model=model)))


@pytest.fixture(scope="module")
def lake(open_at: Callable[[Path], Lake], tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake whose images have decayed since they came in: one before it was measured, one behind that."""
    lake = open_at(tmp_path_factory.mktemp("decayed") / "lake")
    pairs = pairs_of(
        {
            "good.png": (picture(1), "A kite at the beach"),
            "late.png": (picture(2), "A boat on the river"),
            "soon.png": (picture(3), "A tree in the field"),
        }
    )
    images = [image[: len(image) // 2] if place else image for place, image in enumerate(pairs["image"].to_pylist())]
    add(lake, PAIRS, pairs.set_column(pairs.schema.get_field_index("image"), "image", pa.array(images, pa.binary())))
    add(lake, SIGNALS, measure(pairs.slice(1, 1)).drop_columns(["reason", "detail"]))
    return lake


@pytest.fixture(scope="module")
def counts(lake: Lake) -> dict[str, dict[str, int]]:
    """What each job said, run after the other."""
    found = {
        "measure_pairs": dict(measure_pairs.JOB.run(lake, measure_pairs.Config(lake.root))),
        "dedup_pairs": dict(dedup_pairs.JOB.run(lake, dedup_pairs.Config(lake.root))),
        "select_pairs": dict(select_pairs.JOB.run(lake, select_pairs.Config(lake.root))),
        "describe_images": describe(lake, "rules://"),
        "describe_images fails": describe(lake, "fake://fails"),
        "describe_images broken": describe(lake, "fake://broken"),
    }
    build_vocabulary.JOB.run(lake, build_vocabulary.Config(lake.root, min_samples=1))
    found["publish_gold fails"] = publish(lake, "fake://fails")
    found["publish_gold"] = publish(lake, "rules://")
    return found


def test_every_job_counts_what_it_turned_away(counts: dict[str, dict[str, int]]) -> None:
    assert counts == {
        "measure_pairs": {"rows": 1, "measured": 1, "rejected": 1},
        "dedup_pairs": {"rows": 2, "exact": 0, "perceptual": 0},
        "select_pairs": {"rows": 2, "selected": 2, "rejected": 0},
        "describe_images": {"rows": 2, "described": 2, "rejected": 0},
        "describe_images fails": {"rows": 2, "described": 0, "rejected": 2},
        "describe_images broken": {"rows": 2, "described": 0, "rejected": 2},
        "publish_gold fails": {"rows": 2, "published": 0, "rejected": 0},
        "publish_gold": {"rows": 2, "published": 1, "rejected": 1},
    }


def test_what_was_turned_away_says_where_it_was_and_why(lake: Lake, counts: dict[str, dict[str, int]]) -> None:
    rows = lake.read(REJECTS).select("row_id", F.split("stage", "@")[0].alias("stage"), "reason").collect()
    both = ["good.png", "late.png"]
    assert {(row.stage, row.reason, *names(lake, [row.row_id])) for row in rows} == {
        ("measure_pairs", "truncated_image", "soon.png"),
        *(("describe_images/fake://fails", "model_error", name) for name in both),
        *(("describe_images/fake://broken", "not_json", name) for name in both),
        ("publish_gold", "truncated_image", "late.png"),
    }


def test_what_is_sound_reaches_the_trainer(lake: Lake, counts: dict[str, dict[str, int]]) -> None:
    assert names(lake, [row.sample_id for row in lake.read(TRAINING).collect()]) == ["good.png"]


def test_a_dry_run_counts_a_failure_for_good_as_an_answer(lake: Lake, counts: dict[str, dict[str, int]]) -> None:
    def plan(model: str) -> dict[str, int]:
        return dict(describe_images.run(lake, describe_images.Config(lake=lake.root, model=model, dry_run=True)))

    nothing = {"samples": 2, "answered_already": 0, "missed_before": 0, "requests_to_send": 0}
    assert plan("rules://") == nothing | {"answered_already": 2}
    assert plan("fake://fails") == nothing | {"answered_already": 2}
    assert plan("fake://echo") == nothing | {"requests_to_send": 2}
