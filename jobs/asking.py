"""What the jobs that ask a model share: their flags, request keys, and one pass over what is new."""

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Annotated

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.cli import POSITIVE, SHARE
from lakehouse.errors import BadInput, BudgetReached
from lakehouse.governor import Governor
from lakehouse.increments import run_increments
from lakehouse.joins import holding
from lakehouse.journal import check_writable
from lakehouse.lake import Lake, Txn, place
from lakehouse.lake_root import normal_root
from lakehouse.ledger import Ledger, request_key
from lakehouse.limits import NOTHING, Limits
from lakehouse.outcome import Counts
from lakehouse.persisted import persisted
from lakehouse.progress import Progress, watch
from lakehouse.session import driver_addresses, is_one_machine, task_slots
from schemas.silver import RESPONSES, SAMPLES
from udfs.ask import ANSWER_SCHEMA, Question, ask, author_of, read_journal
from udfs.models import load
from udfs.prompts import Prompt, read_prompt
from udfs.spark import StreamFunction, map_stream
from udfs.tasks import DESCRIBE, Task

INPUTS = ("image_id", "alt_text", "web_tags", "colours", "width", "height")
"""What a model may be told of a sample: all of it is part of the request's key."""

STATEMENT = "statement"
"""What is said of the image, where that is what is asked about: a column that samples may have besides."""


@dataclass(frozen=True, kw_only=True)
class AskingLimits:
    """The flags of a job that asks models: within which limits, and from where."""

    lake: Annotated[str, "root of the lakehouse: a folder or a bucket"]
    max_in_flight: Annotated[int, "most requests that wait for an answer at one time, over all tasks", POSITIVE] = 64
    requests_per_minute: Annotated[float | None, "most requests a minute, over all tasks", POSITIVE] = None
    tokens_per_minute: Annotated[float | None, "most tokens a minute, over all tasks", POSITIVE] = None
    budget_usd: Annotated[float | None, "stop before this run has cost more US dollars", POSITIVE] = None
    budget_tokens: Annotated[int | None, "stop before this run has used more tokens", POSITIVE] = None
    budget_requests: Annotated[int | None, "stop before this run has sent more requests", POSITIVE] = None
    tasks: Annotated[
        int | None, "most tasks that ask at one time (default: all; of hf:// on one machine one a GPU)", POSITIVE
    ] = None
    gpus: Annotated[float, "GPUs that one task takes, by stage-level scheduling; 0 asks for none", SHARE] = 0.0
    journal: Annotated[str, "folder that every executor can write: answers wait there; by default inside the lake"] = ""
    batch_mb: Annotated[int, "most image bytes a micro-batch takes in, in MB", POSITIVE] = 8192
    dry_run: Annotated[bool, "say how many requests would be sent and what they could cost, and send none"] = False

    @property
    def limits(self) -> Limits:
        """The limits of the run."""
        return Limits(
            in_flight=self.max_in_flight,
            requests_per_minute=self.requests_per_minute,
            tokens_per_minute=self.tokens_per_minute,
            budget_requests=self.budget_requests,
            budget_tokens=self.budget_tokens,
            budget_usd=self.budget_usd,
        )

    def to_ask(self, model: str, prompt: str) -> "AskingConfig":
        """Return the flags to ask ``model`` under ``prompt`` within these limits."""
        own = {one.name: getattr(self, one.name) for one in fields(AskingLimits)}
        return AskingConfig(**own, model=model, prompt=prompt)


@dataclass(frozen=True, kw_only=True)
class AskingConfig(AskingLimits):
    """The flags of a job that asks one model under one prompt."""

    model: Annotated[
        str,
        "who is asked: rules:// (no model: alt-text, tags and measured facts put into sentences), openai://MODEL, "
        "openai+http://HOST:PORT/v1?model=MODEL (vLLM, SGLang, llama.cpp, any compatible server), "
        "openai+batch://MODEL (by batch: within a day, for half the price), hf://FOLDER or "
        "hf://ID?revision=COMMIT (transformers, inside the tasks, on GPU or CPU)",
    ] = "rules://"
    prompt: Annotated[str, "name of the prompt file, or a file of your own that ends in .md"]


def check_asking(config: AskingConfig) -> None:
    """Raise a LakehouseError for a prompt or model that there is not, and for a server that cannot answer."""
    read_prompt(config.prompt)
    model = load(config.model)
    check_limits(config, config.model)
    if not config.dry_run:
        model.check()


def check_limits(limits: AskingLimits, *models: str) -> None:
    """Raise BadInput for a limit that means nothing for any of ``models``, or that is in dollars without a price.

    A folder for the journal must be one that can be written.
    """
    if limits.journal and not limits.dry_run:
        check_writable(normal_root(limits.journal))
    given = next((name for name in _COUNTED if getattr(limits, name) is not None), None)
    if given is not None and all(load(model).most(1, 0, DESCRIBE, "") == NOTHING for model in models):
        flag = f"--{given.replace('_', '-')}"
        whom = " and ".join(models)
        raise BadInput(f"{flag} has no meaning for {whom}: it runs inside the tasks, where nothing is billed")
    unknown = next((model for model in models if not load(model).has_price), None)
    if limits.budget_usd is not None and unknown is not None:
        joint = "&" if "?" in unknown else "?"
        raise BadInput(f"no price is known for {unknown}: name one, such as {unknown}{joint}usd_in=0.15&usd_out=0.6")


_COUNTED = ("budget_usd", "budget_tokens", "budget_requests", "requests_per_minute", "tokens_per_minute")


def summed(counts: Sequence[Counts]) -> Counts:
    """Return the counts of several questions as one.

    >>> summed([{"samples": 3, "missed": 1}, {"samples": 3}])
    {'samples': 6, 'missed': 1}
    """
    names = dict.fromkeys(name for one in counts for name in one)
    return {name: sum(one.get(name, 0) for one in counts) for name in names}


Put = Callable[[DataFrame], DataFrame]
"""Puts requests to the model: requests in, answers out, lazily."""


@dataclass(frozen=True)
class Asking:
    """One kind of question, put by one run of a job to one model."""

    lake: Lake
    config: AskingConfig
    task: Task
    prompt: Prompt

    @property
    def author(self) -> dict[str, str]:
        """Who answers, by the names of columns."""
        return author_of(self.config.model, self.prompt)

    @property
    def ledger(self) -> Ledger:
        """The ledger, with the journal of this question."""
        root = normal_root(self.config.journal) if self.config.journal else f"{self.lake.root}/_journal"
        author = self.author
        return Ledger(self.lake, RESPONSES, place(root, self.task.name, *author.values()), author)

    def requests(self, samples: DataFrame) -> DataFrame:
        """Return what the model is asked about each sample, with the key that the answer will be kept under."""
        told = (*INPUTS, *(name for name in (STATEMENT,) if name in samples.columns))
        key = request_key(*told, task=self.task.name, **self.author)
        image = ("image",) if load(self.config.model).needs_image else ()
        return samples.select("sample_id", key.alias("request_key"), *told, *image)

    def ask_about_new(self, job: str) -> Counts:
        """Ask about the samples that this question was not put about yet; return counts of the answers.

        Where the budget ends it, the answers that were paid for are kept, and the next run goes on behind them. Raises
        BadInput where GPUs are asked for and Spark runs on one machine, which assigns none.
        """
        with self.governor() as governor:
            return self.ask_within(governor, job)

    def governor(self) -> Governor:
        """Return what keeps the run's limits; a run that puts several questions puts all of them within one."""
        host, listens_on = driver_addresses(self.lake.spark)
        return Governor(self.config.limits, host=host, listens_on=listens_on)

    def ask_within(self, governor: Governor, job: str, *, share: float = 1.0) -> Counts:
        """Ask as ``ask_about_new`` does, within a ``share`` of what the budgets have left; else nothing."""

        def ask_all(put: Put, progress: Progress) -> None:
            missed = self._ask_missed(put)
            self._stream(job, put, progress, missed=missed)

        with governor.part(share):
            return self._ask(ask_all, self.lake.read(SAMPLES), governor, job)

    def ask_about(self, samples: DataFrame, governor: Governor, job: str) -> Counts:
        """Ask about these ``samples`` alone, as far as no run has asked about them; as ``ask_within`` otherwise.

        What is asked here is answered for every other job: a stream that comes to these samples passes them over.
        Where nothing is left to ask, the model need not even be there; else it is checked first.
        """

        def ask_these(put: Put, progress: Progress) -> None:
            requests = self.requests(samples)
            progress.total = self.ledger.unanswered(requests.drop("image")).count()
            if progress.total:
                load(self.config.model).check()
                self.ledger.ask_once(requests, put, txn=None)

        return self._ask(ask_these, samples, governor, job)

    def answers_to(self, samples: DataFrame) -> DataFrame:
        """Return the final answers about ``samples``, of which each has one at the most; only keys travel."""
        keys = self.requests(samples).select("request_key")
        own = holding(self.lake.read(RESPONSES), {"task": self.task.name, **self.author})
        return own.where("status != 'missed'").join(F.broadcast(keys), on="request_key", how="left_semi")

    def _ask(self, ask: Callable[[Put, Progress], None], samples: DataFrame, governor: Governor, job: str) -> Counts:
        if self.config.gpus and is_one_machine(self.lake.spark):
            raise BadInput("--gpus needs a cluster: on one machine each task takes the next GPU, see --tasks")
        recovered, before, was_over = self._recover(), governor.spent.usd, governor.over is not None
        question = Question(
            model=self.config.model,
            prompt=self.prompt.text,
            task=self.task.name,
            journal=self.ledger.journal,
            limits=governor.address,
        )
        with watch(f"{job}: asking", governor) as progress:
            try:
                if governor.over is None:
                    ask(partial(self._put, question=question), progress)
            except Exception as error:
                self._recover()
                if governor.over is None or BudgetReached.__name__ not in str(error):
                    raise
            finally:
                self.lake.costs.append(governor.spent.usd - before)
        if governor.over is not None and not was_over:
            print(f"note: {_what_to_do(governor)}", file=sys.stderr)
        return self._counts(recovered, samples, governor)

    def plan(self, samples: DataFrame | None = None) -> Counts:
        """Return what asking about ``samples``, by default all, would come to.

        That is rows, answers there are, in the ledger or in the journal of a run that was cut off, requests to send,
        and the most they can cost. What waits in a batch at the server counts as to be sent.
        """
        requests = self.requests(self.lake.read(SAMPLES) if samples is None else samples).drop("image")
        left = self.ledger.unanswered(requests, is_whole_table=True)
        if (waiting := self.ledger.waiting(self._read_journal)) is not None:
            left = left.join(waiting.select("request_key"), on="request_key", how="left_anti")
        tried = self.lake.read(RESPONSES).where("status = 'missed'").select("request_key").distinct()
        missed = left.join(tried, on="request_key", how="left_semi").count()
        texts = ("alt_text", *(name for name in (STATEMENT,) if name in requests.columns))
        own = sum(map(F.octet_length, texts), F.octet_length(F.to_json("web_tags")))
        rows, (asked, own_bytes) = (
            requests.count(),
            left.agg(F.count("*"), F.coalesce(F.sum(own), F.lit(0))).collect()[0],
        )
        model = load(self.config.model)
        most = model.most(asked, own_bytes, self.task, self.prompt.text)
        counts = {"samples": rows, "answered_already": rows - asked, "missed_before": missed, "requests_to_send": asked}
        counts |= {"tokens_at_most": most.tokens} if most != NOTHING else {}
        return counts | ({"usd_at_most": math.ceil(most.usd)} if most != NOTHING and model.has_price else {})

    def _recover(self) -> int:
        return self.ledger.recover(self._read_journal)

    def _read_journal(self, files: DataFrame) -> DataFrame:
        return self._answers(files, function=_read_files)

    def _counts(self, recovered: int, samples: DataFrame, governor: Governor) -> Counts:
        counts = {"recovered": recovered} if recovered else {}
        own = holding(self.lake.read(RESPONSES), {"run_id": self.lake.run_id, "status": "missed", **self.author})
        if not own.isEmpty():
            keys = own.select("request_key").distinct()
            counts["missed_until_the_next_run"] = self.ledger.unanswered(keys, is_whole_table=True).count()
            common = own.groupBy("reason").agg(F.count("*").alias("rows"), F.first("detail").alias("detail"))
            for row in common.orderBy(F.desc("rows")).limit(1).collect():
                print(f"note: {row.rows:,} missed as {row.reason}: {row.detail}", file=sys.stderr)
        if governor.over is not None:
            left = self.ledger.unanswered(self.requests(samples).drop("image"), is_whole_table=True).count()
            counts["left_by_the_budget"] = left
        return counts

    def _ask_missed(self, put: Put) -> int:
        """Ask again about the samples that no server answered on in an earlier run; return how many."""
        if not self.lake.exists(RESPONSES):
            return 0
        own = holding(self.lake.read(RESPONSES), {"task": self.task.name, **self.author})
        earlier = own.where((F.col("status") == "missed") & (F.col("run_id") != self.lake.run_id))
        missed = earlier.select("sample_id", "request_key").distinct()
        missed = self.ledger.unanswered(missed).select("sample_id").distinct()
        with persisted(missed) as ids:
            if count := ids.count():
                samples = self.lake.read(SAMPLES).join(F.broadcast(ids), on="sample_id", how="left_semi")
                self.ledger.ask_once(self.requests(samples), put, txn=None)
            return count

    def _stream(self, job: str, put: Put, asked: Progress, *, missed: int) -> Counts:
        def ask_about(batch: DataFrame, txn: Txn) -> Counts:
            self.ledger.ask_once(self.requests(batch), put, txn=txn)
            return {"rows": batch.count()}

        samples = self.lake.stream(SAMPLES, batch_bytes=self.config.batch_mb << 20, needs="select_pairs")
        checkpoint = self.lake.checkpoint(f"{job}/ask", *self.author.values())
        progress = Progress(f"{job}: asking", total=self.lake.backlog(SAMPLES, checkpoint))
        # Those that an earlier run has answered are among them: the time left is the most that it can be.
        asked.total = None if progress.total is None else progress.total + missed
        return run_increments(samples, ask_about, checkpoint=checkpoint, progress=progress)

    def _put(self, requests: DataFrame, *, question: Question) -> DataFrame:
        # As many tasks as run at a time: one that ends has its window run dry, and the next would have to fill it anew.
        slots = min(self.config.tasks or self._most_tasks(), self.config.max_in_flight, task_slots(self.lake.spark))
        return self._answers(requests.coalesce(slots), function=partial(ask, question=question), gpus=self.config.gpus)

    def _most_tasks(self) -> int:
        # Of a cluster's machines the driver knows no GPU: there stage-level scheduling keeps them apart.
        model = load(self.config.model)
        return (model.most_tasks if is_one_machine(self.lake.spark) else None) or sys.maxsize

    def _answers(self, rows: DataFrame, *, function: StreamFunction, gpus: float = 0) -> DataFrame:
        about = {"task": self.task.name, "prompt": self.prompt.name, **self.author}
        reply = F.expr("try_parse_json(raw)")
        kept = {"reply": reply, "raw": F.when(reply.isNull(), F.col("raw"))}
        answers = map_stream(rows, function, ANSWER_SCHEMA, gpus=gpus)
        return answers.withColumns({**{name: F.lit(value) for name, value in about.items()}, **kept})


def _what_to_do(governor: Governor) -> str:
    if not governor.spent.requests:
        return f"{governor.over} has no room for a single request at its most: raise it"
    if governor.share < 1:
        return f"{governor.share:.0%} of {governor.over} is used up: the rest is for what else is asked"
    return f"{governor.over} is used up: run again to go on from here"


def _read_files(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield from read_journal(batch["file"].to_pylist())
