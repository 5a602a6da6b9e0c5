"""The audit of a small lake: a sample of every kind of row, figures once, and the report can ask for them."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pyspark.sql import SparkSession

from benchmarks.chat_server import Asked, ChatServer, completion
from jobs import audit_captions
from jobs.audit_captions import stratified_sample
from jobs.report_lakehouse import ask
from lakehouse.errors import BadInput
from lakehouse.lake import Lake
from lakehouse.small_rows import append_rows
from schemas.gold import AUDIT_COUNTS, CAPTIONS, EVALUATIONS, TRAINING
from schemas.silver import SAMPLES
from tests.chat import serving
from tests.jobs.pictures import THINGS
from tests.lakehouse.stream.lakes import jpeg, sample_id
from tests.udfs.clip.tiny import TINY
from udfs.audit import COMPARED_WITH_PROMPTS, KINDS, RATED
from udfs.report.queries import QUERIES

pytestmark = [pytest.mark.spark, pytest.mark.slow]

Rows = Sequence[tuple[str, str, int]]


def drawn(spark: SparkSession, rows: Rows, *, of: int) -> list[tuple[str, str, int]]:
    frame = spark.createDataFrame(list(rows), "sample_id STRING, source STRING, long_positive_words INT")
    return [tuple(row) for row in stratified_sample(frame, rows=of).collect()]


def ids(count: int, source: str) -> list[tuple[str, str, int]]:
    return [(f"{at * 977 % 4096:03x}{source}", source, at % 30) for at in range(count)]


def test_each_source_has_its_share_of_the_sample(spark: SparkSession) -> None:
    rows = [*ids(300, "a"), *ids(100, "b")]
    sample = drawn(spark, rows, of=40)
    assert sample == drawn(spark, rows[::-1], of=40)
    assert len(set(sample)) == 40
    assert 29 <= sum(source == "a" for _, source, _ in sample) <= 31
    for low in (0, 10, 20):
        assert 12 <= sum(low <= words < low + 10 for _, _, words in sample) <= 15


def test_a_sample_is_at_most_the_whole(spark: SparkSession) -> None:
    assert sorted(drawn(spark, ids(5, "a"), of=40)) == sorted(ids(5, "a"))
    assert drawn(spark, (), of=40) == []


def test_a_lake_without_captions_is_told_what_to_run(lake: Lake) -> None:
    with pytest.raises(BadInput, match=r"gold[.]captions is not there yet in .*: run publish_gold first"):
        audit_captions.JOB.run(lake, audit_captions.Config(lake=lake.root))


def fill(lake: Lake, *, captions: int, training: int) -> None:
    """Write captions, and the first of them as a trainer reads them: the images of the others could not be read."""
    rows = [row_of(number) for number in range(captions)]
    append_rows(lake.root, CAPTIONS, [{name: row[name] for name in CAPTIONS.column_names} for row in rows])
    trained = [{name: row[name] for name in TRAINING.column_names} for row in rows[:training]]
    append_rows(lake.root, TRAINING, trained)


def row_of(number: int) -> dict[str, Any]:
    thing, other = THINGS[number % len(THINGS)], THINGS[(number + 1) % len(THINGS)]
    plain: dict[str, Any] = {"INT": number, "DOUBLE": 0.5, "BOOLEAN": False}
    columns = (*CAPTIONS.columns, *TRAINING.columns, *SAMPLES.columns)
    filled = {column.name: plain.get(column.type, "x") for column in columns}
    texts = {"long_positive": f"A {thing} at the beach.", "long_negative": f"No {other} at the beach."}
    tags = {"short_positive": [thing, "beach"], "short_negative": [other, "forest"], "web_tags": []}
    tags |= {"tag_ids": [], "colours": []}
    return {**filled, **texts, **tags, "sample_id": sample_id(number), "image": jpeg(number), "alt_text": f"My {thing}"}


def rated(asked: Asked) -> web.StreamResponse:
    """Rate denials 1 and alt-texts 6, give no rating to what speaks of the first thing, and all else 9."""
    said = asked.text.rpartition('"text": ')[2]
    value = {"No": 1, "My": 6}.get(said[1:3], 9)
    return web.json_response(completion(asked, "Well." if THINGS[0] in said else json.dumps({"rating": value})))


def test_a_judge_rates_each_text_once(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    fill(lake, captions=8, training=8)
    rows = [row_of(number) for number in range(8)]
    append_rows(lake.root, SAMPLES, [{name: row[name] for name in SAMPLES.column_names} for row in rows])
    server = ChatServer(answer=rated)
    with serving(server) as model:
        config = audit_captions.Config(lake=lake.root, rows=80, judge=model)
        plan = audit_captions.JOB.run(lake, replace(config, dry_run=True))
        assert (plan["requests_to_send"], server.served) == (24, [])
        stopped = audit_captions.JOB.run(lake, replace(config, budget_requests=5))
        assert "judged" not in stopped
        assert audit_captions.JOB.run(lake, config)["judged"] == 8
        assert re.search(r"note: [1-9] of 24 ratings could not be read from", capsys.readouterr().err)
        assert audit_captions.JOB.run(lake, config) == {}
    found = {row.metric: row for row in lake.read(EVALUATIONS).where("dataset LIKE '%/judge/%'").collect()}
    assert found["rating_long_negative_mean"].value == 1
    assert found["rating_alt_text_mean"].value == 6
    assert 0 < found["rating_coverage"].value < 1
    assert found["rating_coverage"].n == sum(found[f"rating_{kind}_mean"].n for kind in RATED)


def test_a_judge_that_sees_nothing_is_refused(lake: Lake) -> None:
    fill(lake, captions=1, training=1)
    with pytest.raises(BadInput, match=r"^rules:// cannot judge: it is shown no image"):
        audit_captions.JOB.run(lake, audit_captions.Config(lake=lake.root, judge="rules://"))


def audit(lake: Lake, scorer: str = "") -> dict[str, int]:
    return dict(audit_captions.JOB.run(lake, audit_captions.Config(lake=lake.root, rows=80, scorer=scorer)))


def test_an_audit_is_made_once(lake: Lake, tmp_path: Path) -> None:
    fill(lake, captions=80, training=60)
    first = audit(lake)
    metrics = {row.metric: row for row in lake.read(EVALUATIONS).collect()}
    assert first == {"rows": 80, "metrics_of_texts": len(metrics)}
    assert (metrics["blind_auc_long"].value, metrics["blind_auc_long"].n) == (1, 80)
    assert audit(lake) == {}

    scorer = _tiny(tmp_path / "tiny")
    assert audit(lake, scorer)["compared"] == 60
    assert audit(lake, scorer) == {}
    assert lake.version(EVALUATIONS) == 2, "made, and written twice"

    found = {name: ask(lake, QUERIES[name], {}).rows for name in ("audit", "audit_counts", "evaluations")}
    values = {row["metric"]: row["value"] for row in found["audit"]}
    assert values["similarity_coverage"] == 60 / 80
    assert len(found["audit_counts"]) == lake.read(AUDIT_COUNTS).count()
    assert {row["label"] for row in found["audit_counts"] if row["figure"] == "giveaway_long"} >= {"a", "no"}
    assert {row["part"] for row in found["audit_counts"] if row["figure"] == "similarity"} == set(KINDS)
    assert found["evaluations"] == [], "an audit is no checkpoint"


def test_texts_are_compared_with_what_people_type(lake: Lake, tmp_path: Path) -> None:
    fill(lake, captions=8, training=8)
    typed = tmp_path / "typed.txt"
    typed.write_text("\n".join(["my kite", "", "a boat at the beach", "my boat"]))
    config = audit_captions.Config(lake=lake.root, rows=80, user_prompts=str(typed))
    assert audit_captions.JOB.run(lake, config)["metrics_of_prompts"] == 1 + 4 * len(COMPARED_WITH_PROMPTS)
    assert audit_captions.JOB.run(lake, config) == {}
    metrics = {row.metric: row.value for row in lake.read(EVALUATIONS).where("dataset LIKE '%/prompts/%'").collect()}
    assert metrics["user_prompts"] == 3
    assert audit_captions.JOB.run(lake, replace(config, scorer=_tiny(tmp_path / "tiny")))["metrics_of_prompts"]
    # Alt-texts are "My ...", of two words; positives are sentences of five.
    assert metrics["length_distance_alt_text"] < metrics["length_distance_long_positive"]
    lengths = lake.read(AUDIT_COUNTS).where("figure = 'words' AND part = 'prompts'").collect()
    assert {row.label: row.n for row in lengths if row.n} == {"0": 2, "5": 1}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"budget_usd": 1.0}, "^--budget-usd has no meaning without --judge"),
        ({"judged": 50}, "^--judged has no meaning without --judge"),
        ({"dry_run": True}, "^--dry-run has no meaning without --judge"),
        ({"user_prompts": "nothing.txt"}, "^cannot read the prompts in 'nothing.txt': No such file"),
    ],
)
def test_what_would_do_nothing_is_refused(lake: Lake, flags: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        audit_captions.JOB.run(lake, audit_captions.Config(lake=lake.root, **flags))


def _tiny(folder: Path) -> str:
    from udfs.clip.model import save_clip, small_clip
    from udfs.clip.tokenizer import train_tokenizer

    tokenizer = train_tokenizer(["a kite at the beach", "a boat"] * 3, vocab_size=300, max_tokens=TINY.max_tokens)
    save_clip(folder, small_clip(tokenizer, TINY), tokenizer)
    return f"clip://{folder}"
