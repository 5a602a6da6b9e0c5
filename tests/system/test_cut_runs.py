"""A run that is cut anywhere ends, when it is run again, in the same lake as a run that nothing disturbed."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame

from jobs import (
    asking,
    build_vocabulary,
    dedup_pairs,
    describe_images,
    ingest_pairs,
    measure_pairs,
    publish_gold,
    release_training,
    select_pairs,
)
from lakehouse.lake import Lake, Txn
from lakehouse.small_rows import read_rows
from lakehouse.table import Table
from schemas import TABLES
from schemas.ops import RUNS
from schemas.silver import RESPONSES, SAMPLES, SELECTIONS
from tests.jobs.pictures import line_of, picture, write_pairs
from tests.system.digests import Contents, contents, counts
from udfs.ask import Question, ask

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.spark, pytest.mark.slow]

ROOT = Path(__file__).parents[2]

Do = Callable[[Lake], Mapping[str, int]]
"""One job with its settings, done on a lake."""


class Died(RuntimeError):
    """The run is cut here."""


@dataclass
class Fuse:
    """Cuts a run at one of its writes, named as in ``writes``: before it, or right ``behind`` it. None cuts nothing.

    A dead run writes no more: its failure does not reach the run log either.
    """

    at: str | None = None
    behind: bool = False
    writes: list[str] = field(default_factory=list)
    is_dead: bool = False

    @contextmanager
    def write(self, what: str) -> Iterator[None]:
        self._die(self.is_dead)
        self.writes.append(what)
        self._die(what == self.at and not self.behind)
        yield
        self._die(what == self.at)

    def _die(self, is_time: bool) -> None:
        if is_time:
            self.is_dead = True
            raise Died(f"cut {'behind' if self.behind else 'before'}: {self.at}")


@dataclass
class FusedLake(Lake):
    """A lake whose every commit passes a fuse: the making of a table, an append, the replacing half of an upsert."""

    fuse: Fuse = field(default_factory=Fuse)

    def create(self, table: Table) -> None:
        if not self.exists(table):
            with self._watched(table, "made"):
                super().create(table)

    def append(self, table: Table, rows: DataFrame, *, txn: Txn | None = None) -> None:
        self.create(table)
        with self._watched(table, "appended to"):
            super().append(table, rows, txn=txn)

    def _replace(self, table: Table, rows: DataFrame, key: str, txn: Txn) -> None:
        with self._watched(table, "replaced in"):
            super()._replace(table, rows, key, txn)

    @contextmanager
    def _watched(self, table: Table, what: str) -> Iterator[None]:
        # The run's own row comes when all is done: writing it is no write of the job.
        if table == RUNS and not self.fuse.is_dead:
            yield
            return
        with self.fuse.write(f"{table.name} {what}"):
            yield


@dataclass(frozen=True)
class Stage:
    """A job and the lake that it finds, with what an undisturbed run writes."""

    do: Do
    before: Path
    writes: list[str]
    after: Contents


def steps(source: Path) -> dict[str, Do]:
    """Return the jobs of the path, and publishing once more with other settings: rows are replaced then."""
    return {
        "ingest_pairs": lambda lake: ingest_pairs.JOB.run(lake, ingest_pairs.Config(lake.root, str(source))),
        "measure_pairs": lambda lake: measure_pairs.JOB.run(lake, measure_pairs.Config(lake.root)),
        "dedup_pairs": lambda lake: dedup_pairs.JOB.run(lake, dedup_pairs.Config(lake.root)),
        "select_pairs": lambda lake: select_pairs.JOB.run(lake, select_pairs.Config(lake.root)),
        "describe_images": lambda lake: describe_images.JOB.run(lake, describe_images.Config(lake=lake.root)),
        "build_vocabulary": lambda lake: build_vocabulary.JOB.run(lake, build_vocabulary.Config(lake.root)),
        "publish_gold": lambda lake: publish_gold.JOB.run(lake, publish_gold.Config(lake.root, pixels=40)),
        "publish_gold again": lambda lake: publish_gold.JOB.run(lake, publish_gold.Config(lake.root, pixels=48)),
        "release_training": lambda lake: release_training.JOB.run(lake, release_training.Config(lake.root)),
    }


JOBS = tuple(steps(Path()))


def write_source(folder: Path) -> Path:
    """Write twelve good pairs, and one each of those that a job has to turn away."""
    source = write_pairs(folder, count=12, extra=({"file_name": "gone.png", "text": "nothing there"},))
    (source / "words.jpg").write_text("this is no image")
    extra = {"words.jpg": "A text file", "again.png": line_of(2)["title"], "alike.png": "Nearly the same image"}
    extra |= {"copy.png": "The same image, other words", "tiny.png": "A tiny image"}
    shutil.copy(source / "0002.png", source / "again.png")
    shutil.copy(source / "0001.png", source / "copy.png")
    picture(3).point(lambda value: min(value + 2, 255)).save(source / "alike.png")
    picture(900).crop((0, 0, 20, 20)).save(source / "tiny.png")
    with (source / "metadata.jsonl").open("a") as file:
        file.writelines(f'{{"file_name": "{name}", "title": "{title}"}}\n' for name, title in extra.items())
    return source


def fused(root: Path, spark: "SparkSession", fuse: Fuse) -> FusedLake:
    return FusedLake(str(root), spark, {table.name: table for table in TABLES}, "", fuse=fuse)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("source") / "pairs")


@pytest.fixture(scope="module")
def stages(spark: "SparkSession", source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Stage]:
    """Run the path undisturbed, and keep the lake as each job finds it."""
    base = tmp_path_factory.mktemp("stages")
    root, found = base / "lake", dict[str, Stage]()
    root.mkdir()
    for number, (name, do) in enumerate(steps(source).items()):
        before = shutil.copytree(root, base / f"before-{number}")
        fuse = Fuse()
        do(fused(root, spark, fuse))
        found[name] = Stage(do, before, fuse.writes, contents(str(root)))
    return found


def telling_cuts(writes: list[str]) -> list[Fuse]:
    """Return a cut before each write that follows on other rows written, and one behind the last.

    A run that is cut before its first rows has done nothing yet; one that is cut behind a write which another
    follows is as one that is cut before that other.
    """
    rows = [what for what in writes if not what.endswith(" made")]
    return [*map(Fuse, rows[1:]), Fuse(rows[-1], behind=True)]


@pytest.mark.parametrize("job", JOBS)
def test_a_job_that_dies_at_one_write_after_another_ends_as_if_it_had_not(
    job: str, stages: dict[str, Stage], spark: "SparkSession", tmp_path: Path
) -> None:
    stage = stages[job]
    root = shutil.copytree(stage.before, tmp_path / "lake")
    for fuse in telling_cuts(stage.writes):
        with pytest.raises(Died):
            stage.do(fused(root, spark, fuse))
    stage.do(fused(root, spark, Fuse()))
    assert contents(str(root)) == stage.after


def test_the_undisturbed_path_turns_away_what_it_should(stages: dict[str, Stage]) -> None:
    after = stages[JOBS[-1]].after
    reasons = Counter(line.split('"reason": "')[1].split('"')[0] for line in after["ops.rejects"])
    assert reasons == {
        "not_an_image": 1,
        "missing_image": 1,
        "duplicate_pair": 1,
        "exact_duplicate": 1,
        "perceptual_duplicate": 1,
        "too_small": 1,
    }
    assert {counts(after)[name] for name in ("silver.samples", "silver.responses", "gold.training")} == {12}


def test_a_table_whose_making_was_cut_is_made_anew(lake: Lake) -> None:
    log = Path(lake.path(SELECTIONS)) / "_delta_log"
    log.mkdir(parents=True)
    (log / ".00000000000000000000.json.5c2a.tmp").write_text('{"commitInfo"')
    lake.create(SELECTIONS)
    assert lake.read(SELECTIONS).count() == 0


@dataclass(frozen=True)
class Desk:
    """Where workers, which are other processes, note the key of every answer, and where they look whether to fail."""

    folder: Path

    @property
    def asked(self) -> Counter[str]:
        notes = self.folder / "asked"
        return Counter(notes.read_text().split()) if notes.exists() else Counter()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    notes = tmp_path / "asked"

    def noted(batches: Iterator[pa.RecordBatch], question: Question) -> Iterator[pa.RecordBatch]:
        for batch in ask(batches, question):
            with notes.open("a") as file:
                file.write("".join(f"{key}\n" for key in batch["request_key"].to_pylist()))
            yield batch

    monkeypatch.setattr(asking, "ask", noted)
    return Desk(tmp_path)


def describe(lake: Lake, model: str) -> None:
    describe_images.JOB.run(lake, describe_images.Config(lake=lake.root, model=model))


@pytest.mark.parametrize("model", ["fake://echo", "fake://fails"])
def test_what_the_ledger_keeps_is_not_asked_for_again(
    model: str, desk: Desk, stages: dict[str, Stage], spark: "SparkSession", tmp_path: Path
) -> None:
    root = shutil.copytree(stages["describe_images"].before, tmp_path / "lake")
    with pytest.raises(Died):
        describe(fused(root, spark, Fuse(f"{RESPONSES.name} appended to", behind=True)), model)
    describe(fused(root, spark, Fuse()), model)
    assert set(desk.asked.values()) == {1}
    assert {row["request_key"] for row in read_rows(str(root), RESPONSES)} == set(desk.asked)
    assert len(desk.asked) == len(read_rows(str(root), RESPONSES)) == len(read_rows(str(root), SAMPLES))
