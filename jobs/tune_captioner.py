"""silver.samples -> a captioner: a teacher describes seeds once, a student learns to do so by a short prompt."""

import json
import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.asking import Asking, AskingConfig, AskingLimits, check_asking
from jobs.audit_captions import lowest_ids, stratified_sample
from jobs.describe_images import read_descriptions
from jobs.evaluating import append_metrics, is_evaluated
from lakehouse.cli import POSITIVE, SHARE
from lakehouse.errors import BadInput
from lakehouse.files import write_whole
from lakehouse.job import Job
from lakehouse.joins import restrict
from lakehouse.lake import Lake
from lakehouse.outcome import Counts
from lakehouse.persisted import persisted
from schemas import TABLES
from schemas.bronze import PAIRS
from schemas.ops import RUNS
from schemas.silver import SAMPLES
from udfs.ask import author_of
from udfs.audit import Metric
from udfs.hf.tuning import folder
from udfs.hf.tuning.chat_file import open_chats
from udfs.hf.tuning.chats import TEXTS
from udfs.hf.tuning.export import HELD_OUT, TRAIN, write_chats, write_images
from udfs.hf.tuning.recipe import Recipe, check_count, settings_of
from udfs.hf.tuning.student import check_student, read_student
from udfs.hf.tuning.student import settings_of as student_settings
from udfs.hf.weights import require_transformers
from udfs.pace import print_pace
from udfs.prompts import read_prompt
from udfs.tasks import DESCRIBE


@dataclass(frozen=True, kw_only=True)
class Config(Recipe, AskingLimits):
    """Have a teacher describe seeds by a long prompt, and tune a student to answer so to a short one (HQ-CLIP, 3)."""

    teacher: Annotated[str, "who describes the seeds: any model that describe_images takes"]
    student: Annotated[
        str,
        "model to tune: a folder, or ID?revision=COMMIT of Hugging Face's hub; ?dtype= and ?max_pixels= as for hf://",
    ] = ""
    out: Annotated[str, "folder for the tuned model, which hf:// reads; it must not be there yet"]
    seeds: Annotated[
        int, "samples to describe: of each source, and of shorter and longer texts, its share", POSITIVE
    ] = 10_000
    held_out: Annotated[float, "share of the seeds' images for the loss before and after, not learnt from", SHARE] = (
        0.05
    )
    teacher_prompt: Annotated[str, "name of the prompt file that the teacher is asked by"] = "hqclip_teacher"
    prompt: Annotated[str, "name of the prompt file that the student learns to answer"] = "hqclip_student"
    export_only: Annotated[bool, "write the chats and images to --out, and tune nothing"] = False


_MOST_MISSED = 0.01
"""Share of the seeds that may stay without an answer, as no server gave one; beyond it they are asked again first."""
_SEEDS = "seeds.json"
"""Name of the file that says what was exported, and that all of it is there."""


def check(config: Config) -> None:
    """Raise a LakehouseError for a teacher, a student, a prompt or a folder that cannot be used."""
    check_asking(replace(_asking_of(config), dry_run=True))
    read_prompt(config.prompt)
    if not (config.student or config.export_only):
        raise BadInput("no --student to tune: name one, or have only the chats written by --export-only")
    if not config.export_only:
        check_student(read_student(config.student), config)
    folder.is_made(Path(config.out), _settings(config))


def run(lake: Lake, config: Config) -> Counts:
    """Ask, export, tune and record, each as far as it was not done before."""
    out, settings = Path(config.out), _settings(config)
    if folder.is_made(out, settings):
        return _record(lake, out)
    if config.dry_run:
        with _drawn(lake, config) as samples:
            return _asking(lake, config).plan(samples)
    counts = _export(lake, config)
    if not config.export_only and "left_by_the_budget" not in counts:
        counts |= _tune(folder.begin(out, settings), config)
    if "left_by_the_budget" not in counts:
        folder.finish(out)
        _record(lake, out)
    return counts


def _settings(config: Config) -> dict[str, Any]:
    """Return what can change what comes out, by name."""
    teacher = author_of(config.teacher, read_prompt(config.teacher_prompt))
    own: dict[str, Any] = {f"teacher_{name}": value for name, value in teacher.items()}
    own |= {"prompt_hash": read_prompt(config.prompt).sha256, "seeds": config.seeds, "held_out": config.held_out}
    if config.export_only:
        return own
    return own | student_settings(read_student(config.student)) | settings_of(config)


def _asking_of(config: Config) -> AskingConfig:
    return config.to_ask(config.teacher, config.teacher_prompt)


def _asking(lake: Lake, config: Config) -> Asking:
    return Asking(lake, _asking_of(config), DESCRIBE, read_prompt(config.teacher_prompt))


@contextmanager
def _drawn(lake: Lake, config: Config) -> Iterator[DataFrame]:
    """Give the samples that are the seeds; raise BadInput where they are too few, before any is paid for."""
    words = F.size(F.split("alt_text", " ")).alias("alt_text_words")
    few = lowest_ids(lake.read(SAMPLES).select("sample_id", words), rows=config.seeds)
    sources = restrict(lake.read(PAIRS).select("sample_id", "source"), few)
    kinds = few.join(sources, on="sample_id", how="left")
    with persisted(stratified_sample(kinds, rows=config.seeds, length="alt_text_words").select("sample_id")) as ids:
        count = ids.count()
        what = "samples by --seeds" if count == config.seeds else "samples in silver.samples"
        check_count(count, config.held_out, config, what=what)
        yield restrict(lake.read(SAMPLES), ids)


def _export(lake: Lake, config: Config) -> dict[str, int]:
    """Have the teacher describe the seeds, and write what can be used; nothing where that was done before.

    Seeds that were exported are those to go on with, whatever has come into the lake since.
    """
    to = _chats_folder(folder.part_of(Path(config.out)), config)
    if (to / _SEEDS).exists():
        return {}
    asking = _asking(lake, config)
    with _drawn(lake, config) as samples:
        with asking.governor() as governor:
            asked = dict(asking.ask_about(samples, governor, JOB.name))
        if "left_by_the_budget" in asked or asked.get("missed_until_the_next_run", 0) > _MOST_MISSED * config.seeds:
            return asked
        with persisted(read_descriptions(asking.answers_to(samples), prompt=asking.prompt.text)) as texts:
            counts = _accepted(texts, config)
            folder.begin(Path(config.out), _settings(config))
            counts |= _write(samples, texts.where(F.col("reason").isNull()), to, config)
    write_whole(to / _SEEDS, json.dumps(counts, indent=2) + "\n")
    return {name: count for name, count in counts.items() if isinstance(count, int)} | asked


def _accepted(texts: DataFrame, config: Config) -> dict[str, Any]:
    """Return how many answers can be used, and how many cannot, by reason; raise BadInput where they are too few."""
    by_reason = {row.reason: row["count"] for row in texts.groupBy("reason").count().collect()}
    accepted = by_reason.pop(None, 0)
    rejected = sum(by_reason.values())
    why = ", ".join(f"{count:,} {reason}" for reason, count in sorted(by_reason.items()))
    what = f"of {accepted + rejected:,} answers of the teacher can be used" + (f" ({why})" if why else "")
    check_count(accepted, config.held_out, config, what=what)
    return {"accepted": accepted, "rejected": rejected, "rejected_by_reason": by_reason}


def _write(samples: DataFrame, texts: DataFrame, to: Path, config: Config) -> dict[str, int]:
    """Write the images, then the lines: bytes stay where they are, and are handed over a partition at a time."""
    few = restrict(samples.select("sample_id", "image_id", "image"), texts).drop("sample_id")
    unknown = write_images(((row.image_id, bytes(row.image)) for row in few.toLocalIterator()), to)
    own = samples.select("sample_id", "image_id", "alt_text", "web_tags")
    rows = own.join(F.broadcast(texts.select("sample_id", "request_key", *TEXTS)), on="sample_id", how="inner")
    images = rows.select("image_id").distinct()
    held_out = math.ceil(config.held_out * images.count())
    ids = {row.image_id for row in images.orderBy("image_id").limit(held_out).collect()}
    lines = (row.asDict() for row in rows.orderBy("sample_id").toLocalIterator())
    return write_chats(lines, to, read_prompt(config.prompt), held_out=ids) | {"unknown_images": unknown}


def _tune(part: Path, config: Config) -> dict[str, int]:
    require_transformers()
    from udfs.hf.tuning.tune import tune

    chats = _chats_folder(part, config)
    held_out = open_chats(chats / HELD_OUT) if config.held_out else None
    own = {name: getattr(config, name) for name in ("teacher", "teacher_prompt", "prompt")}
    say = partial(print_pace, job=JOB.name)
    facts = tune(open_chats(chats / TRAIN), held_out, read_student(config.student), config, part, progress=say)
    exported = json.loads((chats / _SEEDS).read_text())
    folder.write_facts(part, {"settings": _settings(config), **own, "exported": exported, **facts})
    return {"steps": facts["steps"], "learnt_seeds": facts["seeds"], "left_out": sum(facts["left_out"].values())}


def _chats_folder(part: Path, config: Config) -> Path:
    return part if config.export_only else part / "seeds"


def _record(lake: Lake, out: Path) -> Counts:
    """Write the metrics of a tuned model, unless they were written before; return how many."""
    facts = folder.read_facts(out)
    if "weights_sha256" not in facts:  # chats alone
        return {}
    dataset = f"{facts['teacher']}/{facts['teacher_prompt']}/{facts['seeds_digest'][:12]}"
    checkpoint = facts["weights_sha256"]
    if is_evaluated(lake, checkpoint, dataset):
        return {}
    rows = [Metric(name, float(value), n) for name, (value, n) in _metrics(facts).items() if value is not None]
    return {"metrics": append_metrics(lake, rows, checkpoint=checkpoint, name=out.name, dataset=dataset)}


def _metrics(facts: Mapping[str, Any]) -> dict[str, tuple[float | None, int]]:
    """Return each metric with the number of samples behind it."""
    asked = facts["exported"]["accepted"] + facts["exported"]["rejected"]
    losses = {name: (facts[name], facts["seeds"]) for name in ("loss_first", "loss_last")}
    held_out = {name: (facts[name], facts["held_out"]) for name in ("held_out_loss_before", "held_out_loss_after")}
    shares = {"seeds": (asked, asked), "accepted_share": (facts["exported"]["accepted"] / asked, asked)}
    return {f"tuning_{name}": value for name, value in (losses | held_out | shares).items()}


JOB = Job("tune_captioner", Config, run, TABLES, RUNS, check=check)

if __name__ == "__main__":
    sys.exit(JOB.main())
