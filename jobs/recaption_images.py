"""silver.samples -> silver.responses -> silver.recaptions: RECAP's short and long captions, every answer asked once."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import Annotated, Final

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.asking import Asking, AskingConfig, check_asking, summed
from lakehouse.governor import Governor
from lakehouse.increments import run_increments
from lakehouse.job import Job
from lakehouse.joins import holding
from lakehouse.lake import Lake, Txn
from lakehouse.outcome import Counts
from lakehouse.persisted import persisted
from lakehouse.progress import Progress
from lakehouse.rejects import reject
from schemas import TABLES
from schemas.ops import REJECTS, RUNS
from schemas.silver import RECAPTIONS, RESPONSES, SAMPLES
from schemas.stages import recaptioning
from udfs.answer_checks import why_unusable
from udfs.ask import author_of
from udfs.prompts import read_prompt
from udfs.recaptions import CAPTION_SCHEMA, parse_captions
from udfs.spark import map_stream
from udfs.tasks import RECAP_LONG, RECAP_SHORT, Task
from udfs.tokens import CLIP_LIMIT, count_tokens

KINDS: Final = (RECAP_SHORT, RECAP_LONG)

TOKENIZER: Final = "clip"

_READ_BYTES = 32 << 30
"""Most of the ledger that is read at a time: much, as each batch looks through the whole of it for other captions."""

_MOST_AT_ONCE = 100_000
"""Most samples whose other caption is asked for before new ones are: their ids go to every task."""

_OF_THE_ANSWER = ("sample_id", "task", "request_key", "model", "revision", "prompt_hash")
"""What a caption keeps of the answer that it was read from."""


@dataclass(frozen=True, kw_only=True)
class Config(AskingConfig):
    """Have one model write a short and a long caption of every sample (RECAP, section 4)."""

    prompt: Annotated[
        str,
        "name of the two prompt files, which end in _short and _long; own/x.md for own/x_short.md and own/x_long.md",
    ] = "recap"


def prompt_of(task: Task, name: str) -> str:
    """Return which of the two prompt files called ``name`` asks for ``task``.

    >>> prompt_of(RECAP_LONG, "recap"), prompt_of(RECAP_SHORT, "own/mine.md")
    ('recap_long', 'own/mine_short.md')
    """
    suffix = ".md" if name.endswith(".md") else ""
    return name.removesuffix(".md") + task.name.removeprefix("recap") + suffix


def recap_author(model: str, prompt: str) -> dict[str, str]:
    """Return who writes where ``model`` answers to both prompts, by the names of columns of silver.recaptions."""
    authors = {task.name: author_of(model, read_prompt(prompt_of(task, prompt))) for task in KINDS}
    both = {f"{kind}_prompt_hash": author.pop("prompt_hash") for kind, author in authors.items()}
    return {**authors[RECAP_SHORT.name], **both}


def read_captions(responses: DataFrame, prompts: Mapping[str, str]) -> DataFrame:
    """Return the caption in each answer, or the ``reason`` why there is none, with what the model said instead.

    ``prompts`` has the text that asked, by task: a caption that copies it is none.
    """
    said = F.coalesce("answer", F.to_json("reply"), "raw").alias("said")
    names = (*_OF_THE_ANSWER, "said")
    schema = pa.schema([*(pa.field(name, pa.string()) for name in names), *CAPTION_SCHEMA, ("tokens", pa.int32())])
    answers = responses.select(*_OF_THE_ANSWER, "reason", "detail", "answer", said)
    return map_stream(answers, partial(_parse, prompts=prompts), schema)


def _parse(batches: Iterator[pa.RecordBatch], *, prompts: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        captions = parse_captions(batch["task"], batch["answer"], prompts)
        tokens = pa.array(count_tokens(TOKENIZER, captions["text"].to_pylist()), pa.int32())
        kept = {name: batch[name] for name in _OF_THE_ANSWER}
        read = {name: captions[name] for name in ("text", "repairs")}
        yield pa.RecordBatch.from_pydict({**kept, **read, **why_unusable(batch, captions), "tokens": tokens})


def side_by_side(responses: DataFrame, prompts: Mapping[str, str]) -> DataFrame:
    """Return a row a sample that has an answer of both kinds, with the columns of each kind under its name."""
    sides = [_side(read_captions(responses.where(F.col("task") == task.name), prompts), task.name) for task in KINDS]
    return reduce(lambda left, right: left.join(right, on=["sample_id", "model", "revision"], how="inner"), sides)


def _side(captions: DataFrame, kind: str) -> DataFrame:
    named = {
        kind: F.col("text"),
        f"{kind}_tokens": F.col("tokens"),
        f"is_{kind}_over_77": F.col("tokens") > CLIP_LIMIT,
        **{f"{kind}_{name}": F.col(name) for name in ("repairs", "request_key", "prompt_hash", *_OF_A_REJECT)},
    }
    return captions.select("sample_id", "model", "revision", *(value.alias(name) for name, value in named.items()))


_OF_A_REJECT = ("reason", "detail", "said")


def run(lake: Lake, config: Config) -> Counts:
    """Ask for both captions of what is new, within one budget, then read what is new in the ledger."""
    askings = [Asking(lake, config, task, read_prompt(prompt_of(task, config.prompt))) for task in KINDS]
    if config.dry_run:
        return summed([asking.plan() for asking in askings])
    asked = _ask_both(lake, askings)
    return {**_read_answers(lake, askings), **summed(asked)}


def _ask_both(lake: Lake, askings: Sequence[Asking]) -> Sequence[Counts]:
    """Ask for both kinds, so that a budget which ends early has paid for pairs, not for one kind of every sample."""
    first, second = askings
    counts: dict[str, int] = {}
    others: dict[str, int] = {}
    with first.governor() as governor:
        if governor.limits.has_budget:
            others |= _complete(lake, askings, governor)
            counts |= first.ask_within(governor, _name(first), share=0.5)
            if counts.pop("left_by_the_budget", 0):
                others |= _complete(lake, askings, governor)
        counts |= first.ask_within(governor, _name(first))
        others |= second.ask_within(governor, _name(second))
    return counts, others


def _complete(lake: Lake, askings: Sequence[Asking], governor: Governor) -> Counts:
    """Ask the second question about samples that have an answer to the first alone, as far as the budget goes."""
    first, second = (asking.requests(lake.read(SAMPLES)).select("sample_id", "request_key") for asking in askings)
    answers = _final(lake.read(RESPONSES), askings[:1]).select("request_key")
    half = first.join(answers, on="request_key", how="left_semi").select("sample_id")
    left = askings[1].ledger.unanswered(second, is_whole_table=True).select("sample_id")
    with persisted(half.join(left, on="sample_id", how="left_semi").limit(_MOST_AT_ONCE)) as ids:
        if ids.isEmpty():
            return {}
        samples = lake.read(SAMPLES).join(F.broadcast(ids), on="sample_id", how="left_semi")
        return askings[1].ask_about(samples, governor, _name(askings[1]))


def _name(asking: Asking) -> str:
    return f"{JOB.name}/{asking.task.name}"


def check(config: Config) -> None:
    """Raise a LakehouseError for a prompt or model that there is not, and for a server that cannot answer."""
    for task in KINDS:
        read_prompt(prompt_of(task, config.prompt))
    check_asking(replace(config, prompt=prompt_of(RECAP_SHORT, config.prompt)))


def _read_answers(lake: Lake, askings: Sequence[Asking]) -> Counts:
    def read(batch: DataFrame, txn: Txn) -> Counts:
        # The two answers of a sample may have come in different runs: whichever is the later one completes the row.
        new = _final(batch, askings).select("sample_id").distinct()
        whole = _final(lake.read(RESPONSES), askings).join(new, on="sample_id", how="left_semi")
        return _write(lake, whole, askings, txn)

    for table in (RESPONSES, RECAPTIONS):
        lake.create(table)  # where there is nothing to caption
    responses = lake.stream(RESPONSES, batch_bytes=_READ_BYTES, needs=JOB.name)
    hashes = [asking.prompt.sha256 for asking in askings]
    checkpoint = lake.checkpoint(f"{JOB.name}/read", *askings[0].author.values(), *hashes)
    return run_increments(responses, read, checkpoint=checkpoint, progress=Progress(f"{JOB.name}: reading"))


def _final(responses: DataFrame, askings: Sequence[Asking]) -> DataFrame:
    """Return the ``responses`` to these questions that stay as they are."""
    own = [holding(responses, {"task": asking.task.name, **asking.author}) for asking in askings]
    return reduce(DataFrame.unionByName, own).where(F.col("status") != "missed")


def _write(lake: Lake, responses: DataFrame, askings: Sequence[Asking], txn: Txn) -> Counts:
    prompts = {asking.task.name: asking.prompt.text for asking in askings}
    rows = side_by_side(responses, prompts).withColumn("tokenizer", F.lit(TOKENIZER))
    # By both: where one of the two prompts has changed, the other caption is the same as before.
    keys = [f"{kind.name}_request_key" for kind in KINDS]
    with persisted(rows.join(lake.read(RECAPTIONS).select(*keys), on=keys, how="left_anti")) as captions:
        is_over = reduce(Column.__or__, (F.coalesce(f"is_{kind.name}_over_77", F.lit(False)) for kind in KINDS))
        counts = captions.agg(F.count("*").alias("rows"), F.count_if(is_over).alias("over_77_tokens")).collect()[0]
        turned_away = sum(_turn_away(lake, captions, asking, txn) for asking in askings)
        lake.append(RECAPTIONS, captions.select(*_kept(captions)), txn=txn)
        return {**counts.asDict(), "turned_away": turned_away}


def _turn_away(lake: Lake, captions: DataFrame, asking: Asking, txn: Txn) -> int:
    kind = asking.task.name
    bad = captions.where(F.col(f"{kind}_reason").isNotNull()).select(
        F.col("sample_id").alias("row_id"),
        F.col(f"{kind}_reason").alias("reason"),
        F.col(f"{kind}_detail").alias("detail"),
        F.col(f"{kind}_said").alias("raw"),
        F.col(f"{kind}_request_key").alias("source_uid"),
    )
    count = bad.count()
    if count:
        # Each kind with a transaction of its own: of two writes with one Delta would leave out the second.
        own = replace(txn, app_id=f"{txn.app_id}-{kind}")
        reject(lake, REJECTS, bad, stage=recaptioning(kind, **asking.author), txn=own)
    return count


def _kept(captions: DataFrame) -> list[str]:
    return [name for name in captions.columns if name in RECAPTIONS.column_names]


JOB = Job("recaption_images", Config, run, TABLES, RUNS, check=check)

if __name__ == "__main__":
    sys.exit(JOB.main())
