"""Vocabularies, releases and what gold refuses: names stay what they were, and what is in use is the newest."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from jobs import build_vocabulary, promoting, publish_gold, recaption_images, release_training
from jobs.promoting import MODEL, PROMPT
from jobs.publish_gold import newest_vocabulary
from jobs.train_clip import newest_release
from lakehouse.errors import BadInput, JoinAuditFailed
from lakehouse.lake import Lake
from lakehouse.stream import CaptionStream, Mix
from schemas.gold import CAPTIONS, RELEASES, TRAINING
from schemas.silver import DESCRIPTIONS, RECAPTIONS
from tests.world import PUBLISHED, World

pytestmark = [pytest.mark.spark, pytest.mark.slow]


def describe(lake: Lake, *tags: list[str]) -> None:
    """Add descriptions of samples 0, 1, ... with ``tags``."""
    frame = lake.spark.createDataFrame(
        [(str(number), own) for number, own in enumerate(tags)], "sample_id STRING, short_positive ARRAY<STRING>"
    )
    plain = {"STRING", "INT", "DOUBLE"}
    rest = {c.name: F.lit("1").cast(c.type) for c in DESCRIPTIONS.columns if c.type in plain and c.name != "sample_id"}
    nothing = F.array().cast("array<string>")
    lake.append(DESCRIPTIONS, frame.withColumns(rest | {"short_negative": nothing, "repairs": nothing}))


def build(lake: Lake, *, size: int = 10, rebuild: bool = False) -> dict[str, int]:
    config = build_vocabulary.Config(lake.root, size=size, min_samples=2, rebuild=rebuild)
    return dict(build_vocabulary.JOB.run(lake, config))


def test_a_vocabulary_holds_the_tags_of_most_samples_first(lake: Lake) -> None:
    describe(lake, ["cat", "ant", "rare"], ["cat", "bee"], ["cat", "bee", "ant"])
    describe(lake, ["rare"])  # the same sample, by another model
    assert build(lake) == {"tags": 3}
    assert newest_vocabulary(lake)[1] == {"cat": 0, "ant": 1, "bee": 2}


def test_a_vocabulary_that_is_built_again_is_the_one_in_use(lake: Lake) -> None:
    describe(lake, ["cat", "ant"], ["cat", "ant"], ["cat"])
    assert build(lake, size=1) == {"tags": 1}
    first, _ = newest_vocabulary(lake)
    assert build(lake, size=2) == {}, "there is one: new rows use it"
    assert build(lake, size=2, rebuild=True) == {"tags": 2}
    assert newest_vocabulary(lake)[1] == {"cat": 0, "ant": 1}
    assert build(lake, size=2, rebuild=True) == {}
    assert build(lake, size=1, rebuild=True) == {"tags": 1}
    again, tags = newest_vocabulary(lake)
    assert tags == {"cat": 0}
    assert again.startswith(f"{first}-")


def release(lake: Lake, **settings: object) -> dict[str, int]:
    return dict(release_training.JOB.run(lake, release_training.Config(lake.root, **settings)))  # type: ignore[arg-type]


def test_the_newest_release_is_what_was_asked_for_last(
    world: World, open_at: Callable[[Path], Lake], tmp_path: Path
) -> None:
    shutil.copytree(world.lake.root, tmp_path / "lake")
    lake = open_at(tmp_path / "lake")
    first = newest_release(lake.root, "")
    assert release(lake) == {}
    assert release(lake, mix="web_text=1")
    assert release(lake, mix="web_text=1") == {}
    assert release(lake)
    mixes = {row.release: json.loads(row.mix) for row in lake.read(RELEASES).collect()}
    assert len(mixes) == 3
    assert mixes[newest_release(lake.root, "")] == mixes[first] != {"web_text": 1}
    assert release(lake, release=first) == {}


def test_a_predicate_says_which_rows_are_released(
    world: World, open_at: Callable[[Path], Lake], tmp_path: Path
) -> None:
    shutil.copytree(world.lake.root, tmp_path / "lake")
    lake = open_at(tmp_path / "lake")
    whole = lake.read(RELEASES).collect()[0]
    assert release(lake, predicate="split = 'train'") == {"train_rows": whole.train_rows, "held_out_rows": 0}


def test_a_release_keeps_its_name_to_itself(world: World) -> None:
    name = newest_release(world.lake.root, "")
    with pytest.raises(BadInput, match=f"release '{name}' is there with other rows or settings: choose another"):
        release_training.run(world.lake, release_training.Config(world.lake.root, release=name, seed=9))


def test_a_release_of_nothing_is_refused(world: World) -> None:
    config = release_training.Config(world.lake.root, predicate="bucket > 5000")
    with pytest.raises(BadInput, match=r"no row of gold[.]training meets 'bucket > 5000': nothing to release"):
        release_training.run(world.lake, config)


def test_gold_holds_one_selection(world: World) -> None:
    with pytest.raises(BadInput, match="gold was published from selection 'default': publish into another lake"):
        publish_gold.run(world.lake, publish_gold.Config(world.lake.root, selection="other"))


def test_that_training_is_made_anew_is_said(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    writer, (vocabulary, _) = promoting.writer_of(MODEL, PROMPT), newest_vocabulary(world.lake)
    for pixels, said in [(PUBLISHED["pixels"], ""), (99, "note: gold.training, which has jpeg-crop-40, is made anew")]:
        config = publish_gold.Config(world.lake.root, **{**PUBLISHED, "pixels": pixels})
        publish_gold.checkpoint_of(world.lake, config, writer.author, {}, vocabulary)
        assert capsys.readouterr().err[: len(said) or None] == said


def test_recaptions_are_published_where_they_are_asked_for(
    world: World, open_at: Callable[[Path], Lake], tmp_path: Path
) -> None:
    def publish(model: str = "") -> dict[str, int]:
        config = publish_gold.Config(lake.root, recap_model=model, **PUBLISHED)
        return dict(publish_gold.JOB.run(lake, config))

    shutil.copytree(world.lake.root, tmp_path / "lake")
    lake = open_at(tmp_path / "lake")
    first, rows = newest_release(lake.root, ""), lake.read(TRAINING).count()
    recaption_images.JOB.run(lake, recaption_images.Config(lake=lake.root))
    missing = lake.read(RECAPTIONS).orderBy("sample_id").limit(1).localCheckpoint()
    lake.remove(RECAPTIONS, missing.select("sample_id"), key="sample_id")
    with pytest.raises(
        JoinAuditFailed, match=rf"answered on 1 of {rows} samples: run recaption_images --model rules:// "
    ):
        publish("rules://")
    assert lake.read(CAPTIONS).where("recap_model IS NOT NULL").isEmpty()
    lake.append(RECAPTIONS, missing.drop("run_id"))
    assert publish("rules://")["published"] == rows
    made_in = {row.run_id for row in lake.read(TRAINING).select("run_id").distinct().collect()}
    publish("rules://")
    assert {row.run_id for row in lake.read(TRAINING).select("run_id").distinct().collect()} == made_in

    written = lake.read(RECAPTIONS).select("sample_id", "recap_short", "recap_long")
    for table in (CAPTIONS, TRAINING):
        assert lake.read(table).select(*written.columns).exceptAll(written).isEmpty()
        assert lake.read(table).count() == rows
    assert [row.recap_model for row in lake.read(CAPTIONS).select("recap_model").distinct().collect()] == ["rules://"]

    assert release(lake, mix="recap_short=0.5,recap_long=0.5")
    assert newest_release(lake.root, "") != first
    stream = CaptionStream(lake.root, release=newest_release(lake.root, ""), batch_size=8, image_size=32)
    texts = {text for batch in stream for text in batch.text}
    known = {text: name for row in written.collect() for name, text in row.asDict().items()}
    assert {known[text] for text in texts} == {"recap_short", "recap_long"}
    assert stream.mix == Mix(recap_short=0.5, recap_long=0.5)

    assert publish()["published"] == rows
    assert lake.read(TRAINING).where("recap_short IS NOT NULL OR size(recap_request_keys) > 0").isEmpty()
