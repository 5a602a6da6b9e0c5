"""Two who describe the same samples: which samples, what both said of each, and how well that fits the image."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.asking import Asking
from jobs.audit_captions import lowest_ids, stratified_sample
from jobs.describe_images import read_descriptions
from jobs.promoting import Writer
from lakehouse.lake import Lake
from lakehouse.session import task_slots
from schemas.bronze import PAIRS
from schemas.silver import SAMPLES
from udfs.comparison import SIDES, TEXTS, Pair
from udfs.similarity import similarities, similarity_schema
from udfs.spark import map_stream


@dataclass(frozen=True)
class Contest:
    """The two who are compared, and what the comparison is called."""

    askings: tuple[Asking, Asking]
    writers: tuple[Writer, Writer]
    scorer: str
    """Who compares texts with images, with its revision; empty for no one."""
    dataset: str


def name_of(writer: Writer) -> str:
    """Return ``writer`` for people, so that no two have one name."""
    model, revision, prompt_hash = writer.author.values()
    return " with ".join(_at(name, revised) for name, revised in ((model, revision), (writer.prompt, prompt_hash)))


def _at(name: str, revision: str) -> str:
    return f"{name}@{revision[:12]}" if revision else name


def drawn(lake: Lake, *, rows: int) -> DataFrame:
    """Return ``rows`` samples: of each source, and of shorter and longer alt-texts, as many as is its due."""
    words = F.size(F.split(F.trim("alt_text"), r"\s+")).alias("words")
    few = lowest_ids(lake.read(SAMPLES).select("sample_id", words), rows=rows)
    sources = lake.read(PAIRS).select("sample_id", "source").join(F.broadcast(few), on="sample_id", how="left_semi")
    placed = few.join(F.broadcast(sources), on="sample_id", how="left")
    ids = stratified_sample(placed, rows=rows, length="words").select("sample_id").collect()
    wanted = lake.spark.createDataFrame([(row.sample_id,) for row in ids], "sample_id STRING")
    return lake.read(SAMPLES).join(F.broadcast(wanted), on="sample_id", how="left_semi")


def answers_of(asking: Asking, samples: DataFrame) -> dict[str, dict[str, Any]]:
    """Return what was read out of the answers about ``samples``, and what they cost, by sample_id."""
    answers = asking.answers_to(samples)
    texts = read_descriptions(answers, prompt=asking.prompt.text).select("request_key", "reason", "repairs", *TEXTS)
    about = answers.select("sample_id", "request_key", "cost_usd", "input_tokens", "output_tokens", "seconds")
    rows = texts.join(F.broadcast(about), on="request_key", how="inner").collect()
    return {row.sample_id: {**row.asDict(), "similarity": None} for row in rows}


def together(askings: Sequence[Asking], samples: DataFrame) -> list[Pair]:
    """Return what both said of each of ``samples`` that both have an answer to, good or bad, by sample_id."""
    first, second = (answers_of(one, samples) for one in askings)
    return [(first[one], second[one]) for one in sorted(first.keys() & second.keys())]


def scored(lake: Lake, pairs: Sequence[Pair], uri: str) -> list[Pair]:
    """Return ``pairs`` with the similarity of each long positive: texts travel to the images, and numbers come back."""
    rows = [(one["sample_id"], one["long_positive"], other["long_positive"]) for one, other in pairs]
    texts = lake.spark.createDataFrame(rows, ", ".join(f"{name} STRING" for name in ("sample_id", *SIDES)))
    own = lake.read(SAMPLES).select("sample_id", "image").join(F.broadcast(texts), on="sample_id", how="inner")
    # As many tasks as run at a time: each loads the model.
    tasks = own.coalesce(task_slots(lake.spark))
    found = map_stream(tasks, partial(similarities, uri=uri, kinds=SIDES), similarity_schema(SIDES)).collect()
    scores = {row.sample_id: (row.first, row.second) for row in found}
    return [_with_scores(pair, scores.get(pair[0]["sample_id"], (None, None))) for pair in pairs]


def _with_scores(pair: Pair, scores: tuple[float | None, float | None]) -> Pair:
    first, second = ({**one, "similarity": score} for one, score in zip(pair, scores, strict=True))
    return first, second
