"""silver.samples -> silver.responses -> silver.descriptions: HQ-CLIP's four texts, every answer asked for once."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.asking import Asking, AskingConfig, check_asking
from lakehouse.increments import run_increments
from lakehouse.job import Job
from lakehouse.joins import holding, only_new
from lakehouse.lake import Lake, Txn
from lakehouse.outcome import Counts
from lakehouse.persisted import persisted
from lakehouse.progress import Progress
from lakehouse.rejects import reject
from schemas import TABLES
from schemas.ops import REJECTS, RUNS
from schemas.silver import DESCRIPTIONS, RESPONSES
from schemas.stages import describing
from udfs.answer_checks import why_unusable
from udfs.descriptions import TEXTS_SCHEMA, parse_answers
from udfs.prompts import read_prompt
from udfs.spark import map_stream
from udfs.tasks import DESCRIBE
from udfs.text_measures import MEASURES_SCHEMA, measure_texts


@dataclass(frozen=True, kw_only=True)
class Config(AskingConfig):
    """Have a model describe every sample in four texts, and read them out of its answers (HQ-CLIP, section 3)."""

    prompt: Annotated[str, "name of the prompt file, or a file of your own that ends in .md"] = "hqclip_student"


_READ_BYTES = 256 << 20
"""Most of the ledger that is read at a time."""


def read_descriptions(responses: DataFrame, *, prompt: str = "") -> DataFrame:
    """Return the four texts in each answer, or the ``reason`` why there are none, with what the model said instead.

    A text that copies ``prompt``, which asked for it, is none.
    """
    said = F.coalesce("answer", F.to_json("reply"), "raw").alias("said")
    own = (pa.field(name, pa.string()) for name in (*_OF_THE_ANSWER, "said"))
    schema = pa.schema([*own, *TEXTS_SCHEMA, *MEASURES_SCHEMA])
    answers = responses.select(*_OF_THE_ANSWER, "reason", "detail", "answer", said)
    return map_stream(answers, partial(_parse, prompt=prompt), schema)


_OF_THE_ANSWER = ("sample_id", "request_key", "model", "revision", "prompt_hash")
"""What a description keeps of the answer that it was read from."""


def _parse(batches: Iterator[pa.RecordBatch], *, prompt: str) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        texts = parse_answers(batch["answer"], prompt=prompt)
        kept = {name: batch[name] for name in _OF_THE_ANSWER}
        yield pa.RecordBatch.from_pydict(
            {**kept, **_columns(texts), **why_unusable(batch, texts), **measure_texts(texts)}
        )


def _columns(batch: pa.RecordBatch) -> dict[str, pa.Array]:
    return dict(zip(batch.schema.names, batch.columns, strict=True))


def run(lake: Lake, config: Config) -> Counts:
    """Ask about what is new, then read what is new in the ledger."""
    asking = Asking(lake, config, DESCRIBE, read_prompt(config.prompt))
    if config.dry_run:
        return asking.plan()
    asked = asking.ask_about_new(JOB.name)
    return {**_read_answers(lake, asking), **asked}


def _read_answers(lake: Lake, asking: Asking) -> Counts:
    author = asking.author

    def read(batch: DataFrame, txn: Txn) -> Counts:
        own = holding(batch, {"task": DESCRIBE.name, **author}).where(F.col("status") != "missed")
        return _write_descriptions(lake, own, asking, txn)

    for table in (RESPONSES, DESCRIPTIONS):
        lake.create(table)  # where there is nothing to describe
    responses = lake.stream(RESPONSES, batch_bytes=_READ_BYTES, needs=JOB.name)
    checkpoint = lake.checkpoint(f"{JOB.name}/read", *author.values())
    return run_increments(responses, read, checkpoint=checkpoint, progress=Progress(f"{JOB.name}: reading"))


def _write_descriptions(lake: Lake, responses: DataFrame, asking: Asking, txn: Txn) -> Counts:
    fresh, stage = only_new(lake, DESCRIPTIONS, responses, key="request_key"), describing(**asking.author)
    with persisted(read_descriptions(fresh, prompt=asking.prompt.text)) as texts:
        good = texts.where(F.col("reason").isNull()).drop("reason", "detail", "said")
        bad = texts.where(F.col("reason").isNotNull()).withColumnsRenamed({"sample_id": "row_id", "said": "raw"})
        counts = {"described": good.count(), "rejected": bad.count()}
        if counts["rejected"]:
            reject(lake, REJECTS, bad.withColumnRenamed("request_key", "source_uid"), stage=stage, txn=txn)
        lake.append(DESCRIPTIONS, good, txn=txn)
        return {"rows": sum(counts.values()), **counts}


JOB = Job("describe_images", Config, run, TABLES, RUNS, check=check_asking)

if __name__ == "__main__":
    sys.exit(JOB.main())
