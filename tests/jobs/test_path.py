"""The whole path, seen from its tables: nothing is lost, doubled or done twice, and everything can be traced."""

import io
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

from jobs import describe_images, ingest_pairs, select_pairs
from lakehouse.errors import BadInput, JoinAuditFailed
from lakehouse.lake import Lake
from schemas import TABLES
from schemas.bronze import PAIRS
from schemas.gold import CAPTIONS, RELEASES, TAGS, TRAINING
from schemas.ops import REJECTS, RUNS
from schemas.silver import DESCRIPTIONS, RESPONSES, SAMPLES, SELECTIONS, SIGNALS
from tests.jobs.pictures import picture, write_pairs
from tests.world import GOOD, ROW_GROUP, World, run_path

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


def test_every_reason_is_on_the_closed_list(world: World) -> None:
    from udfs.reasons import REASONS

    assert set(reasons(world.lake)) <= set(REASONS)


def test_no_image_is_on_both_sides_of_the_split(world: World) -> None:
    splits = world.lake.read(TRAINING).groupBy("image_id").agg(F.count_distinct("split").alias("n"))
    assert splits.where("n > 1").isEmpty()
    assert world.lake.read(TRAINING).select("split").distinct().count() == 2


def test_tag_ids_are_the_tags(world: World) -> None:
    names = {row.tag_id: row.tag for row in world.lake.read(TAGS).collect()}
    for row in world.lake.read(TRAINING).select("short_positive", "tag_ids").collect():
        known = [tag for tag in row.short_positive if tag in names.values()]
        assert sorted(names[place] for place in row.tag_ids) == sorted(set(known))


def test_one_query_leads_from_a_training_row_to_its_source(world: World) -> None:
    world.lake.register()
    row = world.lake.spark.sql(
        f"""SELECT p.source_uid, r.model, r.prompt, u.job
        FROM delta.`{world.lake.path(TRAINING)}` t
        JOIN delta.`{world.lake.path(RESPONSES)}` r ON r.request_key = t.request_key
        JOIN delta.`{world.lake.path(PAIRS)}` p ON p.sample_id = t.sample_id
        JOIN delta.`{world.lake.path(RUNS)}` u ON u.run_id = r.run_id
        LIMIT 1"""
    ).collect()[0]
    assert (row.model, row.prompt, row.job) == ("rules://", "hqclip_student", "describe_images")
    assert (world.source / row.source_uid).exists()


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


def test_a_dry_run_counts_what_would_be_asked(world: World) -> None:
    config = describe_images.Config(world.lake.root, model="fake://echo", dry_run=True)
    samples = world.lake.read(SAMPLES).count()
    assert describe_images.run(world.lake, config) == {
        "samples": samples,
        "answered_already": 0,
        "requests_to_send": samples,
    }


def test_a_filter_with_an_unknown_column_names_those_there_are(world: World) -> None:
    config = select_pairs.Config(world.lake.root, selection="mine", where="sharpnes > 3")
    with pytest.raises(BadInput, match=r"sharpnes.*it may use .*sharpness"):
        select_pairs.run(world.lake, config)


def copy_of(world: World, folder: Path, open_at: Callable[[Path], Lake]) -> Lake:
    """Return the same lake at another place, for a test that changes it."""
    shutil.copytree(world.lake.root, folder / "lake")
    return open_at(folder / "lake")


def test_only_new_pairs_are_worked_on(world: World, open_at: Callable[[Path], Lake], tmp_path: Path) -> None:
    lake = copy_of(world, tmp_path, open_at)
    training, releases = lake.read(TRAINING).count(), lake.read(RELEASES).count()
    source = write_pairs(tmp_path / "more", count=2, start=500)
    counts = run_path(lake, source)
    assert counts["ingest_pairs"]["ingested"] == 2
    assert counts["measure_pairs"]["measured"] == 2
    assert counts["describe_images"]["described"] == 2
    assert counts["publish_gold"]["published"] == 2
    assert lake.read(TRAINING).count() == lake.read(SELECTIONS).count() == training + 2
    assert lake.read(RELEASES).count() == releases + 1


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
        ingest_pairs.JOB.run(lake, ingest_pairs.Config(lake.root, "/no/such/folder"))
    row = lake.read(RUNS).collect()[0]
    assert (row.job, row.status) == ("ingest_pairs", "failed")
    assert "/no/such/folder" in row.error


def test_the_good_pairs_are_all_selected(world: World) -> None:
    names = {row.source_uid for row in world.lake.read(CAPTIONS).select("source_uid").collect()}
    assert {f"{number:04}.png" for number in range(4, GOOD)} <= names
