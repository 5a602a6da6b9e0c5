"""silver.samples -> silver.responses -> silver.descriptions: HQ-CLIP's four texts, every answer asked for once."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.cli import POSITIVE
from lakehouse.increments import run_increments
from lakehouse.job import Job
from lakehouse.joins import holding, only_new
from lakehouse.lake import Lake, Txn
from lakehouse.ledger import ask_once, request_key, unanswered
from lakehouse.outcome import Counts
from lakehouse.persisted import persisted
from lakehouse.progress import Progress
from lakehouse.rejects import reject
from schemas import TABLES
from schemas.ops import REJECTS, RUNS
from schemas.silver import DESCRIPTIONS, RESPONSES, SAMPLES
from schemas.stages import describing
from udfs.ask import ANSWER_SCHEMA, ask, author_of
from udfs.descriptions import TEXTS_SCHEMA, parse_answers
from udfs.models import load
from udfs.prompts import Prompt, read_prompt
from udfs.spark import map_stream

_INPUTS = ("image_id", "alt_text", "web_tags", "colours", "width", "height")
"""What a model may be told of a sample: all of it is part of the request's key."""


@dataclass(frozen=True)
class Config:
    """Have a model describe every sample in four texts, and read them out of its answers (HQ-CLIP, section 3)."""

    lake: Annotated[str, "root of the lakehouse: a folder or a bucket"]
    model: Annotated[
        str, "who describes: rules:// (no model: alt-text, tags and measured facts put into sentences)"
    ] = "rules://"
    prompt: Annotated[str, "name of the prompt file"] = "hqclip_student"
    batch_mb: Annotated[int, "most image bytes a micro-batch takes in, in MB", POSITIVE] = 256
    dry_run: Annotated[bool, "say how many requests would be sent, and send none"] = False


def requests_of(samples: DataFrame, model: str, prompt: Prompt) -> DataFrame:
    """Return what ``model`` is asked about each sample, with the key that the answer will be kept under."""
    key = request_key(*_INPUTS, task="describe", **author_of(model, prompt))
    image = ("image",) if load(model).needs_image else ()
    return samples.select("sample_id", key.alias("request_key"), *_INPUTS, *image)


def answer(requests: DataFrame, *, model: str, prompt: Prompt) -> DataFrame:
    """Return one answer a request, as the ledger keeps it."""
    answers = map_stream(requests, partial(ask, model=model, prompt=prompt.text), ANSWER_SCHEMA)
    about = {"task": "describe", "prompt": prompt.name, **author_of(model, prompt)}
    return answers.withColumns({name: F.lit(value) for name, value in about.items()})


def read_descriptions(responses: DataFrame) -> DataFrame:
    """Return the four texts in each answer, or the ``reason`` why there are none."""
    schema = pa.schema([*(pa.field(name, pa.string()) for name in _OF_THE_ANSWER), *TEXTS_SCHEMA])
    return map_stream(responses.select(*_OF_THE_ANSWER, "reason", "answer"), _parse, schema)


_OF_THE_ANSWER = ("sample_id", "request_key", "model", "revision", "prompt_hash")
"""What a description keeps of the answer that it was read from."""


def _parse(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        texts = parse_answers(batch["answer"])
        # Where the model failed there is no answer to read: its own reason stands.
        reason = pa.compute.coalesce(batch["reason"], texts["reason"])
        columns = {**{name: batch[name] for name in _OF_THE_ANSWER}, **_columns(texts), "reason": reason}
        yield pa.RecordBatch.from_pydict(columns)


def _columns(batch: pa.RecordBatch) -> dict[str, pa.Array]:
    return dict(zip(batch.schema.names, batch.columns, strict=True))


def check(config: Config) -> None:
    """Raise BadInput for a prompt or a model that there is not."""
    author_of(config.model, read_prompt(config.prompt))


def run(lake: Lake, config: Config) -> Counts:
    """Ask about what is new, then read what is new in the ledger."""
    prompt = read_prompt(config.prompt)
    if config.dry_run:
        return _plan(lake, config.model, prompt)
    author = author_of(config.model, prompt)

    def ask_about(batch: DataFrame, txn: Txn) -> Counts:
        requests = requests_of(batch, config.model, prompt)
        ask_once(lake, RESPONSES, requests, partial(answer, model=config.model, prompt=prompt), txn=txn)
        return {"rows": batch.count()}

    samples = lake.stream(SAMPLES, batch_bytes=config.batch_mb << 20, needs="select_pairs")
    checkpoint = lake.checkpoint(f"{JOB.name}/ask", *author.values())
    progress = Progress(f"{JOB.name}: asking", total=lake.backlog(SAMPLES, checkpoint))
    run_increments(samples, ask_about, checkpoint=checkpoint, progress=progress)

    def read(batch: DataFrame, txn: Txn) -> Counts:
        return _write_descriptions(lake, holding(batch, author), describing(**author), txn)

    for table in (RESPONSES, DESCRIPTIONS):
        lake.create(table)  # where there is nothing to describe
    responses = lake.stream(RESPONSES, batch_bytes=config.batch_mb << 20, needs="describe_images")
    checkpoint = lake.checkpoint(f"{JOB.name}/read", *author.values())
    return run_increments(responses, read, checkpoint=checkpoint, progress=Progress(f"{JOB.name}: reading"))


def _write_descriptions(lake: Lake, responses: DataFrame, stage: str, txn: Txn) -> Counts:
    with persisted(read_descriptions(only_new(lake, DESCRIPTIONS, responses, key="request_key"))) as texts:
        good = texts.where(F.col("reason").isNull()).drop("reason", "detail")
        bad = texts.where(F.col("reason").isNotNull()).withColumnRenamed("sample_id", "row_id")
        counts = {"described": good.count(), "rejected": bad.count()}
        if counts["rejected"]:
            reject(lake, REJECTS, bad.withColumnRenamed("request_key", "source_uid"), stage=stage, txn=txn)
        lake.append(DESCRIPTIONS, good, txn=txn)
        return {"rows": sum(counts.values()), **counts}


def _plan(lake: Lake, model: str, prompt: Prompt) -> Counts:
    requests = requests_of(lake.read(SAMPLES), model, prompt)
    rows, left = requests.count(), unanswered(lake, RESPONSES, requests)
    tried = lake.read(RESPONSES).select("request_key").distinct()
    failed = left.join(tried, on="request_key", how="left_semi").count()
    asked = left.count() - failed
    return {
        "samples": rows,
        "answered_already": rows - failed - asked,
        "failed_before": failed,
        "requests_to_send": asked,
    }


JOB = Job("describe_images", Config, run, TABLES, RUNS, check=check)

if __name__ == "__main__":
    sys.exit(JOB.main())
