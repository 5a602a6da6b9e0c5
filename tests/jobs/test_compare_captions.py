"""Two models on one sample: asked once, compared, promoted, published, and published back for nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from aiohttp import web
from pyspark.sql import functions as F

from benchmarks.chat_server import Asked, ChatServer, completion, texts
from jobs import build_vocabulary, compare_captions, describe_images, publish_gold
from jobs.comparing import drawn
from jobs.promoting import PROMPT, promoted, writer_to_publish
from jobs.report_lakehouse import ask
from lakehouse.errors import BadInput, JoinAuditFailed
from lakehouse.lake import Lake
from schemas import TABLES
from schemas.bronze import PAIRS
from schemas.gold import CAPTIONS, COMPARISONS, EVALUATIONS, PROMOTIONS, TRAINING
from schemas.ops import REJECTS
from schemas.silver import RESPONSES, SAMPLES, SELECTIONS
from tests.chat import serving
from tests.jobs.intake import add, pairs_of
from tests.jobs.pictures import line_of, picture
from tests.udfs.clip.tiny import TINY
from udfs.report.queries import QUERIES

SAMPLE_COUNT, COMPARED, REFUSED = 28, 24, 2


@dataclass
class Story:
    """What was done to a lake, step by step, and what each step said."""

    lake: Lake
    second: str = ""
    counts: dict[str, Mapping[str, int]] = field(default_factory=dict)
    served: dict[str, int] = field(default_factory=dict)
    refusal: str = ""
    models: dict[str, set[str]] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)

    def compare(self, **flags: Any) -> Mapping[str, int]:
        config = compare_captions.Config(lake=self.lake.root, against=self.second, rows=COMPARED, **flags)
        return compare_captions.JOB.run(self.lake, config)

    def publish(self, step: str, **flags: Any) -> None:
        config = publish_gold.Config(self.lake.root, pixels=40, row_group=16, **flags)
        self.counts[step] = publish_gold.JOB.run(self.lake, config)
        self.models[step] = {row.model for row in self.lake.read(CAPTIONS).select("model").distinct().collect()}

    def describe(self, model: str) -> Mapping[str, int]:
        return describe_images.JOB.run(self.lake, describe_images.Config(lake=self.lake.root, model=model))

    def versions(self) -> dict[str, int]:
        return {table.name: self.lake.version(table) for table in TABLES if self.lake.exists(table)}


@pytest.fixture(scope="module")
def story(open_at: Callable[[Path], Lake], tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("compared")
    story = Story(open_at(folder / "lake"))
    _fill(story)
    images = sorted(row.image_id for row in drawn(story.lake, rows=COMPARED).select("image_id").collect())
    server, scorer = ChatServer(answer=_answer(refused=images[:REFUSED], mended=images[-1])), _tiny(folder / "tiny")
    with serving(server) as story.second:
        story.counts["plan"] = story.compare(dry_run=True)
        story.counts["little budget"] = story.compare(budget_requests=5)
        story.counts["compared"] = story.compare(scorer=scorer)
        story.served["first"], before = len(server.served), story.versions()
        story.counts["compared again"] = story.compare(scorer=scorer)
        story.changed = [name for name, version in story.versions().items() if before.get(name) != version]
        story.served["again"] = len(server.served)
        story.counts["promoted"] = story.compare(scorer=scorer, promote="second")
        with pytest.raises(JoinAuditFailed) as refused:
            story.publish("too early")
        story.refusal = str(refused.value)
        story.counts["described"] = story.describe(story.second)
    story.publish("second")
    # Behind this line there is no server any more.
    story.counts["promoted back"] = story.compare(scorer=scorer, promote="first")
    story.publish("reverted")
    story.publish("again")
    return story


def _fill(story: Story) -> None:
    """Fill the lake as far as select_pairs would, then have the rules describe it, and publish that."""
    pairs = pairs_of({f"{at}.png": (picture(at), line_of(at)["title"]) for at in range(SAMPLE_COUNT)})
    add(story.lake, PAIRS, pairs)
    ids = story.lake.read(PAIRS).select("sample_id", F.lit("default").alias("selection"))
    story.lake.append(SELECTIONS, ids.withColumn("group_id", F.col("sample_id")))
    nothing = pa.array([[] for _ in range(SAMPLE_COUNT)], pa.list_(pa.string()))
    kept = pairs.select(["sample_id", "image_id", "image", "alt_text", "width", "height"])
    add(story.lake, SAMPLES, kept.append_column("web_tags", nothing).append_column("colours", nothing))
    story.lake.create(REJECTS)
    story.describe("rules://")
    build_vocabulary.JOB.run(story.lake, build_vocabulary.Config(story.lake.root, min_samples=1))
    story.publish("before")


def _answer(*, refused: list[str], mended: str) -> Callable[[Asked], web.StreamResponse | None]:
    def answer(asked: Asked) -> web.StreamResponse | None:
        if asked.image in refused:
            return web.json_response(completion(asked, "I see only colours."))
        if asked.image == mended:
            return web.json_response(completion(asked, texts(asked).replace("]}", ",]}")))
        return None

    return answer


def _tiny(folder: Path) -> str:
    from udfs.clip.model import save_clip, small_clip
    from udfs.clip.tokenizer import train_tokenizer

    tokenizer = train_tokenizer(["a kite at the beach", "a boat"] * 3, vocab_size=300, max_tokens=TINY.max_tokens)
    save_clip(folder, small_clip(tokenizer, TINY), tokenizer)
    return f"clip://{folder}"


def metrics_of(story: Story) -> dict[str, float]:
    rows = story.lake.read(EVALUATIONS).where("name = 'compare_captions'").collect()
    return {row.metric: row.value for row in rows}


@pytest.mark.spark
@pytest.mark.slow
def test_both_are_asked_about_the_same_samples_once(story: Story) -> None:
    plan = story.counts["plan"]
    assert (plan["samples"], plan["answered_already"], plan["requests_to_send"]) == (2 * COMPARED, COMPARED, COMPARED)
    assert story.counts["little budget"]["left_by_the_budget"] >= COMPARED - 5
    metrics = metrics_of(story)
    assert story.counts["compared"] == {"rows": COMPARED, "compared": COMPARED, "metrics": len(metrics)}
    assert story.counts["compared again"] == {}
    assert story.changed == []
    assert story.served["again"] == story.served["first"]
    answers = story.lake.read(RESPONSES).where("model != 'rules://'")
    assert answers.count() == answers.select("sample_id").distinct().count() == SAMPLE_COUNT
    assert story.counts["described"]["described"] == SAMPLE_COUNT - REFUSED


@pytest.mark.spark
@pytest.mark.slow
def test_figures_are_those_of_the_answers(story: Story) -> None:
    metrics = metrics_of(story)
    assert (metrics["first_accepted"], metrics["samples"]) == (1, COMPARED)
    assert metrics["second_rejected"] == metrics["second_rejected_not_json"] == REFUSED / COMPARED
    assert metrics["second_repaired_trailing_comma"] == 1 / COMPARED
    assert metrics["only_first_accepted"] == REFUSED
    scored = [metrics[f"similarity_{name}"] for name in ("wins", "ties", "losses")]
    assert sum(scored) == COMPARED - REFUSED
    gap = metrics["first_similarity_mean"] - metrics["second_similarity_mean"]
    assert gap == pytest.approx(metrics["similarity_gap_mean"])
    assert metrics["similarity_gap_low"] <= gap <= metrics["similarity_gap_high"]
    assert metrics["second_tokens_per_accepted"] > 300


@pytest.mark.spark
@pytest.mark.slow
def test_no_text_stands_beside_another_samples(story: Story) -> None:
    images = {row.sample_id: row.image_id for row in story.lake.read(SAMPLES).select("sample_id", "image_id").collect()}
    rows = story.lake.read(COMPARISONS).collect()
    assert len(rows) == COMPARED
    accepted = [row for row in rows if row.second_reason is None]
    assert len(accepted) == COMPARED - REFUSED
    assert all(row.second_long_positive == f"The image shows {images[row.sample_id]}." for row in accepted)
    assert {row.first_model for row in rows} == {"rules://"}
    assert all((row.first_similarity is None) == (row.second_reason is not None) for row in accepted)


@pytest.mark.spark
@pytest.mark.slow
def test_who_is_promoted_is_published_when_all_is_described(story: Story) -> None:
    assert story.counts["promoted"] == story.counts["promoted back"] == {"promoted": 1}
    assert f"has not answered on {SAMPLE_COUNT} of {SAMPLE_COUNT} samples: run describe_images --model" in story.refusal
    assert story.second in story.refusal
    published = {"rows": SAMPLE_COUNT, "published": SAMPLE_COUNT, "rejected": 0}
    assert story.counts["second"] == published | {"published": SAMPLE_COUNT - REFUSED, "withdrawn": REFUSED}
    assert [len(story.models[step]) for step in ("before", "second", "reverted")] == [1, 1, 1]
    assert story.models["second"] != story.models["before"] == story.models["reverted"]
    assert story.counts["reverted"] == published
    assert not any(story.counts["again"].values())
    assert story.lake.read(TRAINING).count() == SAMPLE_COUNT


@pytest.mark.spark
@pytest.mark.slow
def test_what_is_named_by_hand_is_published_whoever_is_promoted(story: Story) -> None:
    newest = promoted(story.lake)
    assert newest is not None
    assert newest.model == "rules://"
    by_hand = writer_to_publish(story.lake, model=story.second, prompt="")
    assert (by_hand.model, by_hand.prompt) == (story.second, PROMPT)
    assert writer_to_publish(story.lake, model="", prompt="").author == newest.author
    assert [row.why for row in story.lake.read(PROMOTIONS).collect()] == ["named by hand"] * 2


@pytest.mark.spark
@pytest.mark.slow
def test_a_winner_is_promoted_where_there_is_one(story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    config = compare_captions.Config(lake=story.lake.root, against=story.second, rows=COMPARED)
    contest = compare_captions.contest_of(story.lake, config)
    unclear = metrics_of(story) | {"similarity_gap_low": -1.0, "similarity_gap_high": 2.0}
    with pytest.raises(BadInput, match=r"nobody is promoted, .*: name --promote first or second"):
        compare_captions.promote_one(story.lake, "winner", contest, unclear)
    clear = unclear | {"similarity_gap_low": 1.0}
    assert compare_captions.promote_one(story.lake, "winner", contest, clear) == {}, "it is promoted already"
    said = capsys.readouterr().out
    assert "95 % interval +1.00 to +2.00" in said
    assert "next: describe_images --model " in said


@pytest.mark.spark
@pytest.mark.slow
def test_the_report_tells_of_a_comparison_and_not_of_an_audit(story: Story) -> None:
    names = ("comparisons", "compared", "promotions", "audit", "evaluations")
    found = {name: ask(story.lake, QUERIES[name], {}).rows for name in names}
    assert {row["metric"]: row["value"] for row in found["comparisons"]} == metrics_of(story)
    gaps = [abs(row["first_similarity"] - row["second_similarity"]) for row in found["compared"]]
    assert gaps == sorted(gaps, reverse=True)
    assert len(gaps) == 12
    assert len(found["promotions"]) == 2
    assert not found["audit"]
    assert not found["evaluations"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"promote": "best"}, "bad --promote 'best': expected one of winner, first, second, no"),
        ({"promote": "winner"}, "--promote winner needs a --scorer: name --promote first or second"),
        ({"against": "opnai://x"}, "unknown model 'opnai://x'"),
        ({"against_prompt": "poem"}, "no prompt 'poem'"),
        ({"against": "fake://echo", "scorer": "openai://x"}, "unknown scorer 'openai://x'"),
        ({}, "rules:// with hqclip_student is on both sides: name another --against or --against-prompt"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_any_work(flags: dict[str, str], message: str) -> None:
    with pytest.raises(Exception, match=message):
        compare_captions.JOB.check(compare_captions.Config(lake="", **flags))  # type: ignore[arg-type]
