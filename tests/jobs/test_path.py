"""The whole path, seen from its tables: nothing is lost, doubled or done twice, and everything can be traced."""

import hashlib
import io
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jobs import describe_images, ingest_pairs, measure_pairs, select_pairs
from jobs.publish_gold import BUCKETS
from lakehouse.errors import BadInput, JoinAuditFailed
from lakehouse.lake import Lake
from schemas import TABLES
from schemas.bronze import PAIRS
from schemas.gold import CAPTIONS, RELEASES, TAGS, TRAINING
from schemas.ops import REJECTS, RUNS
from schemas.silver import DESCRIPTIONS, RESPONSES, SAMPLES, SELECTIONS, SIGNALS
from tests.jobs.pictures import line_of, picture, write_pairs
from tests.world import GOOD, HELD_OUT, ROW_GROUP, World, run_path
from udfs.models.rules import RuleDescriber

pytestmark = [pytest.mark.spark, pytest.mark.slow]


def reasons(lake: Lake) -> Counter[str]:
    return Counter(row.reason for row in lake.read(REJECTS).select("reason").collect())


def test_every_row_is_selected_or_has_a_reason(world: World) -> None:
    images = len(list(world.source.glob("*.[pj][np]g")))
    gone = 1
    selected = world.lake.read(SELECTIONS).count()
    assert images + gone == selected + sum(reasons(world.lake).values())


def test_each_bad_row_has_its_reason(world: World) -> None:
    assert reasons(world.lake) == {
        "empty_image": 1,
        "not_an_image": 1,
        "missing_caption": 1,
        "missing_image": 1,
        "duplicate_pair": 1,
        "exact_duplicate": 1,
        "perceptual_duplicate": 1,
        "too_small": 1,
    }


def test_image_bytes_are_untouched(world: World) -> None:
    for row in world.lake.read(PAIRS).select("image", "source_uid").limit(10).collect():
        assert bytes(row.image) == (world.source / row.source_uid).read_bytes()


def test_every_selected_sample_reaches_the_trainer(world: World) -> None:
    counts = {
        table.name: world.lake.read(table).count() for table in (SAMPLES, RESPONSES, DESCRIPTIONS, CAPTIONS, TRAINING)
    }
    assert set(counts.values()) == {world.lake.read(SELECTIONS).count()}


def test_the_hash_of_the_image_alone_says_what_is_held_out(world: World) -> None:
    rows = world.lake.read(TRAINING).select("image_id", "bucket", "split").collect()
    expected = {row.image_id: int(row.image_id[:8], 16) % BUCKETS for row in rows}
    assert {row.image_id: row.bucket for row in rows} == expected
    limit = round(HELD_OUT * BUCKETS)
    assert all((row.split == "held_out") == (row.bucket < limit) for row in rows)
    assert {row.split for row in rows} == {"train", "held_out"}


def test_tag_ids_are_the_tags(world: World) -> None:
    names = {row.tag_id: row.tag for row in world.lake.read(TAGS).collect()}
    for row in world.lake.read(TRAINING).select("short_positive", "tag_ids").collect():
        known = [tag for tag in row.short_positive if tag in names.values()]
        assert sorted(names[place] for place in row.tag_ids) == sorted(set(known))


def test_one_query_leads_from_each_training_row_to_its_source(world: World) -> None:
    rows = world.lake.spark.sql(
        f"""SELECT t.image_id, p.source_uid, r.model, r.prompt, u.job
        FROM delta.`{world.lake.path(TRAINING)}` t
        JOIN delta.`{world.lake.path(RESPONSES)}` r ON r.request_key = t.request_key
        JOIN delta.`{world.lake.path(PAIRS)}` p ON p.sample_id = t.sample_id
        JOIN delta.`{world.lake.path(RUNS)}` u ON u.run_id = r.run_id"""
    ).collect()
    assert len(rows) == world.lake.read(TRAINING).count()
    assert {(row.model, row.prompt, row.job) for row in rows} == {("rules://", "hqclip_student", "describe_images")}
    for row in rows:
        assert hashlib.sha256((world.source / row.source_uid).read_bytes()).hexdigest() == row.image_id


def test_the_run_log_tells_what_each_job_did(world: World) -> None:
    rows = {row.job: row for row in world.lake.read(RUNS).collect()}
    assert {name: row.counts for name, row in rows.items()} == world.counts
    assert {row.status for row in rows.values()} == {"succeeded"}
    publish = json.loads(rows["publish_gold"].config)
    assert (publish["held_out"], publish["row_group"], publish["selection"]) == (HELD_OUT, ROW_GROUP, "default")
    assert rows["ingest_pairs"].versions[PAIRS.name] == world.lake.version(PAIRS)


def test_a_row_group_has_as_many_rows_as_a_trainer_reads_at_a_time(world: World) -> None:
    files = [pq.ParquetFile(file) for file in Path(world.lake.path(TRAINING)).glob("*.parquet")]
    sizes = [[file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] for file in files]
    assert sum(map(sum, sizes)) == world.lake.read(TRAINING).count()
    for groups in sizes:
        assert all(rows == ROW_GROUP for rows in groups[:-1])
        assert groups[-1] <= ROW_GROUP
    assert max(map(len, sizes)) > 1


def test_a_second_run_writes_nothing(world: World) -> None:
    def versions() -> dict[str, int]:
        return {t.name: world.lake.version(t) for t in TABLES if world.lake.exists(t)}

    before = versions()
    counts = run_path(world.lake, world.source)
    assert versions() == before
    assert not any(value for job in counts.values() for name, value in job.items() if name != "rows")


def test_a_dry_run_asks_nothing(world: World) -> None:
    config = describe_images.Config(lake=world.lake.root, model="fake://echo", dry_run=True)
    before, samples = world.lake.version(RESPONSES), world.lake.read(SAMPLES).count()
    plan = {"samples": samples, "answered_already": 0, "missed_before": 0, "requests_to_send": samples}
    assert describe_images.run(world.lake, config) == plan
    assert world.lake.version(RESPONSES) == before


def copy_of(world: World, folder: Path, open_at: Callable[[Path], Lake]) -> Lake:
    """Return the same lake at another place, for a test that changes it."""
    shutil.copytree(world.lake.root, folder / "lake")
    return open_at(folder / "lake")


@pytest.fixture
def two_more(world: World) -> Iterator[None]:
    """Two pairs more, at the source, for as long as the test runs."""
    lines = (world.source / "metadata.jsonl").read_bytes()
    write_pairs(world.source, count=2, start=500)
    yield
    (world.source / "metadata.jsonl").write_bytes(lines)
    for number in (500, 501):
        (world.source / line_of(number)["file_name"]).unlink()


@pytest.mark.usefixtures("two_more")
def test_only_new_pairs_are_worked_on(world: World, open_at: Callable[[Path], Lake], tmp_path: Path) -> None:
    lake = copy_of(world, tmp_path, open_at)
    trained_on = lake.read(TRAINING).count()
    counts = run_path(lake, world.source)
    train = counts["release_training"].pop("train_rows")
    assert counts == {
        "ingest_pairs": {"rows": 2, "read": 2, "ingested": 2, "rejected": 0},
        "measure_pairs": {"rows": 2, "measured": 2, "rejected": 0},
        "dedup_pairs": {"rows": 2, "exact": 0, "perceptual": 0},
        "select_pairs": {"rows": 2, "selected": 2, "rejected": 0},
        "describe_images": {"rows": 2, "described": 2, "rejected": 0},
        "build_vocabulary": {},
        "publish_gold": {"rows": 2, "published": 2, "rejected": 0},
        "release_training": {"held_out_rows": trained_on + 2 - train},
    }
    assert lake.read(TRAINING).count() == trained_on + 2
    assert lake.read(RELEASES).count() == 2


def test_a_new_revision_of_a_model_is_published(
    world: World, open_at: Callable[[Path], Lake], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = copy_of(world, tmp_path, open_at)
    monkeypatch.setattr(RuleDescriber, "revision", "next")
    rows = lake.read(TRAINING).count()
    assert run_path(lake, world.source)["publish_gold"] == {"rows": rows, "published": rows, "rejected": 0}
    assert {row.revision: row["count"] for row in lake.read(CAPTIONS).groupBy("revision").count().collect()} == {
        "next": rows
    }
    answered = lake.read(RESPONSES).where("revision = 'next'").select("request_key")
    assert lake.read(TRAINING).join(answered, on="request_key", how="left_semi").count() == rows


def test_streams_that_start_afresh_add_nothing(world: World, open_at: Callable[[Path], Lake], tmp_path: Path) -> None:
    lake = copy_of(world, tmp_path, open_at)
    shutil.rmtree(f"{lake.root}/_checkpoints")
    counted = (PAIRS, SIGNALS, REJECTS, SELECTIONS, SAMPLES, RESPONSES, DESCRIPTIONS, CAPTIONS, TRAINING)
    before = {table.name: lake.read(table).count() for table in counted}
    run_path(lake, world.source)
    assert {table.name: lake.read(table).count() for table in counted} == before


def test_a_pair_that_comes_again_in_a_delta_table_is_counted(lake: Lake, tmp_path: Path) -> None:
    config = ingest_pairs.Config(lake.root, str(tmp_path / "table"))
    image = io.BytesIO()
    picture(1).save(image, "PNG")
    found = []
    for _ in range(2):
        rows = lake.spark.createDataFrame([(bytearray(image.getvalue()), "A kite")], "image BINARY, text STRING")
        rows.write.format("delta").mode("append").save(config.source)
        found.append(dict(ingest_pairs.JOB.run(lake, config)))
    assert found == [
        {"rows": 1, "read": 1, "ingested": 1, "rejected": 0},
        {"rows": 1, "read": 1, "ingested": 0, "rejected": 1},
    ]
    assert reasons(lake) == {"duplicate_pair": 1}


def test_a_lake_without_rejects_has_an_empty_table_of_them(lake: Lake, tmp_path: Path) -> None:
    ingest_pairs.JOB.run(lake, ingest_pairs.Config(lake.root, str(write_pairs(tmp_path / "pairs", count=1))))
    assert lake.exists(REJECTS)
    assert reasons(lake) == {}


def test_a_job_before_its_time_says_what_to_run_first(lake: Lake, tmp_path: Path) -> None:
    source = write_pairs(tmp_path / "pairs", count=3)
    ingest_pairs.JOB.run(lake, ingest_pairs.Config(lake.root, str(source)))
    lake.create(SIGNALS)
    with pytest.raises(JoinAuditFailed, match="3 of 3 rows have no match by sample_id: run measure_pairs first"):
        select_pairs.JOB.run(lake, select_pairs.Config(lake.root))


def test_a_failed_run_is_recorded_with_its_error(lake: Lake) -> None:
    with pytest.raises(BadInput):
        measure_pairs.JOB.run(lake, measure_pairs.Config(lake.root))
    row = lake.read(RUNS).collect()[0]
    assert (row.job, row.status) == ("measure_pairs", "failed")
    assert "run ingest_pairs first" in row.error


def test_the_good_pairs_are_all_selected(world: World) -> None:
    names = {row.source_uid for row in world.lake.read(CAPTIONS).select("source_uid").collect()}
    assert {f"{number:04}.png" for number in range(4, GOOD)} <= names
