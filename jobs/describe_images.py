"""silver.samples -> silver.responses -> silver.descriptions: HQ-CLIP's four texts, every answer asked for once."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.increments import Counts, run_increments
from lakehouse.job import Job
from lakehouse.joins import only_new
from lakehouse.lake import Lake, Txn
from lakehouse.ledger import ask_once, request_key, unanswered
from lakehouse.persisted import persisted
from lakehouse.progress import Progress
from lakehouse.rejects import reject
from schemas import TABLES
from schemas.ops import REJECTS, RUNS
from schemas.silver import DESCRIPTIONS, RESPONSES, SAMPLES
from udfs.ask import ANSWER_SCHEMA, ask
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
    batch_mb: Annotated[int, "most image bytes a micro-batch takes in, in MB"] = 256
    dry_run: Annotated[bool, "say what would be asked and paid, and ask nothing"] = False


def requests_of(samples: DataFrame, model: str, prompt: Prompt) -> DataFrame:
    """Return what ``model`` is asked about each sample, with the key that the answer will be kept under."""
    describer = load(model)
    settings = {"task": "describe", "model": model, "revision": describer.revision, "prompt_hash": prompt.sha256}
    image = ("image",) if describer.needs_image else ()
    return samples.select("sample_id", request_key(*_INPUTS, **settings).alias("request_key"), *_INPUTS, *image)


def answer(requests: DataFrame, *, model: str, prompt: Prompt) -> DataFrame:
    """Return one answer a request, as the ledger keeps it."""
    answers = map_stream(requests, partial(ask, model=model, prompt=prompt.text), ANSWER_SCHEMA)
    about = {"task": "describe", "model": model, "revision": load(model).revision}
    about |= {"prompt": prompt.name, "prompt_hash": prompt.sha256}
    return answers.withColumns({name: F.lit(value) for name, value in about.items()})


def read_descriptions(responses: DataFrame) -> DataFrame:
    """Return the four texts in each answer, or the ``reason`` why there are none."""
    kept = ("sample_id", "request_key", "model", "prompt_hash", "reason", "answer")
    schema = pa.schema([*(pa.field(name, pa.string()) for name in kept[:4]), *TEXTS_SCHEMA])
    return map_stream(responses.select(*kept), _parse, schema)


def _parse(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        texts = parse_answers(batch["answer"])
        # Where the model failed there is no answer to read: its own reason stands.
        reason = pa.compute.coalesce(batch["reason"], texts["reason"])
        columns = {**{name: batch[name] for name in batch.schema.names[:4]}, **_columns(texts), "reason": reason}
        yield pa.RecordBatch.from_pydict(columns)


def _columns(batch: pa.RecordBatch) -> dict[str, pa.Array]:
    return dict(zip(batch.schema.names, batch.columns, strict=True))


def run(lake: Lake, config: Config) -> Counts:
    """Ask about what is new, then read what is new in the ledger."""
    prompt = read_prompt(config.prompt)
    if config.dry_run:
        return _plan(lake, config.model, prompt)
    place = f"{prompt.sha256[:12]}-{config.model.replace('/', '_')}-{load(config.model).revision}"

    def ask_about(batch: DataFrame, txn: Txn) -> Counts:
        requests = requests_of(batch, config.model, prompt)
        ask_once(lake, RESPONSES, requests, partial(answer, model=config.model, prompt=prompt), txn=txn)
        return {"rows": batch.count()}

    samples = lake.stream(SAMPLES, batch_bytes=config.batch_mb << 20, needs="select_pairs")
    checkpoint = lake.checkpoint(f"{JOB.name}/ask-{place}")
    progress = Progress(f"{JOB.name}: asking", total=lake.backlog(SAMPLES, checkpoint))
    run_increments(samples, ask_about, checkpoint=checkpoint, progress=progress)

    def read(batch: DataFrame, txn: Txn) -> Counts:
        ours = batch.where((F.col("model") == config.model) & (F.col("prompt_hash") == prompt.sha256))
        return _write_descriptions(lake, ours, config.model, txn)

    responses = lake.stream(RESPONSES, batch_bytes=config.batch_mb << 20, needs="describe_images")
    progress = Progress(f"{JOB.name}: reading")
    return run_increments(responses, read, checkpoint=lake.checkpoint(f"{JOB.name}/read-{place}"), progress=progress)


def failures_of(model: str) -> str:
    """Return the stage under which ops.rejects keeps what ``model`` could not describe: another model may."""
    return f"{JOB.name}/{model}"


def _write_descriptions(lake: Lake, responses: DataFrame, model: str, txn: Txn) -> Counts:
    with persisted(read_descriptions(only_new(lake, DESCRIPTIONS, responses, key="request_key"))) as texts:
        good = texts.where(F.col("reason").isNull()).drop("reason", "detail")
        bad = texts.where(F.col("reason").isNotNull()).withColumnRenamed("sample_id", "row_id")
        counts = {"described": good.count(), "rejected": bad.count()}
        if counts["rejected"]:
            reject(lake, REJECTS, bad.withColumnRenamed("request_key", "source_uid"), stage=failures_of(model), txn=txn)
        lake.append(DESCRIPTIONS, good, txn=txn)
        return {"rows": sum(counts.values()), **counts}


def _plan(lake: Lake, model: str, prompt: Prompt) -> Counts:
    requests = requests_of(lake.read(SAMPLES), model, prompt)
    rows, asked = requests.count(), unanswered(lake, RESPONSES, requests).count()
    return {"samples": rows, "answered_already": rows - asked, "requests_to_send": asked}


JOB = Job("describe_images", Config, run, TABLES, RUNS)

if __name__ == "__main__":
    sys.exit(JOB.main())
