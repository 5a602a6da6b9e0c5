"""silver.samples -> silver.responses -> gold.comparisons, gold.evaluations: who describes the same samples better?"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Final

from pyspark.sql import functions as F

from jobs.asking import Asking, AskingConfig, check_limits, summed
from jobs.comparing import Contest, drawn, name_of, scored, together
from jobs.evaluating import append_metrics
from jobs.promoting import promote, writer_of
from lakehouse.cli import POSITIVE
from lakehouse.errors import BadInput
from lakehouse.job import Job
from lakehouse.lake import Lake, Txn
from lakehouse.outcome import Counts
from schemas import TABLES
from schemas.gold import COMPARISONS, EVALUATIONS
from schemas.ops import RUNS
from schemas.silver import SAMPLES
from udfs.comparison import SIDES, Pair, compare, digest_of, side_by_side, winner
from udfs.comparison_figures import lines_of, sentences_of
from udfs.models import load
from udfs.models.scorers import load_scorer
from udfs.prompts import read_prompt
from udfs.tasks import DESCRIBE

PROMOTE: Final = ("winner", *SIDES, "no")


@dataclass(frozen=True, kw_only=True)
class Config(AskingConfig):
    """Compare two models, or one model under two prompts, on the same sample, and promote one of them.

    Both are asked through the ledger: what is paid for here is not paid again by describe_images. With --promote
    winner the one is promoted whose long positives fit their images better by --scorer: where at least 20 pairs were
    scored and the 95 % interval of the mean paired difference of similarity excludes 0. Otherwise nobody is.
    """

    prompt: Annotated[str, "name of the prompt file"] = "hqclip_student"
    against: Annotated[str, "the second model, which --model is compared with; by default the same one"] = ""
    against_prompt: Annotated[str, "name of the prompt file for the second; by default the same one"] = ""
    rows: Annotated[int, "samples to compare on: their texts all come to the driver", POSITIVE] = 500
    scorer: Annotated[
        str,
        "who compares long positives with images: clip://FOLDER or hf://FOLDER, such as <lake>/_models/NAME; "
        "none by default",
    ] = ""
    promote: Annotated[
        str,
        "whose texts publish_gold is to take from here on: first, second, winner (by the scorer, see above) or no; "
        "first and second ask nothing where the two were compared so before",
    ] = "no"


def contest_of(lake: Lake, config: Config) -> Contest:
    """Return who is compared."""
    first, second = (writer_of(side.model, side.prompt) for side in _sides(config))
    askings = [Asking(lake, side, DESCRIBE, read_prompt(side.prompt)) for side in _sides(config)]
    scorer = load_scorer(config.scorer).name if config.scorer else ""
    names = " against ".join(map(name_of, (first, second)))
    dataset = "/".join([names, str(config.rows), *([scorer] if scorer else [])])
    return Contest((askings[0], askings[1]), (first, second), scorer, dataset)


def _sides(config: Config) -> tuple[Config, Config]:
    model, prompt = config.against or config.model, config.against_prompt or config.prompt
    return config, replace(config, model=model, prompt=prompt)


def check(config: Config) -> None:
    """Raise a LakehouseError for what is not there on either side, and for a promotion that cannot be decided."""
    if config.promote not in PROMOTE:
        raise BadInput(f"bad --promote {config.promote!r}: expected one of {', '.join(PROMOTE)}")
    if config.promote == "winner" and not config.scorer:
        raise BadInput("--promote winner needs a --scorer: name --promote first or second to decide by hand")
    for side in _sides(config):
        # Whether a server answers is asked when there is something to ask it: a promotion alone needs none.
        read_prompt(side.prompt)
    check_limits(config, *(side.model for side in _sides(config)))
    first, second = (writer_of(side.model, side.prompt) for side in _sides(config))
    if first.author == second.author:
        who = f"{first.model} with {first.prompt}"
        raise BadInput(f"{who} is on both sides: name another --against or --against-prompt")
    if config.scorer:
        load_scorer(config.scorer)


def run(lake: Lake, config: Config) -> Counts:
    """Compare the two, unless they were compared so before; then promote one of them if that was asked for."""
    if not lake.exists(SAMPLES):
        raise BadInput(f"silver.samples is not there yet in {lake.root!r}: run select_pairs first")
    contest = contest_of(lake, config)
    if config.dry_run:
        samples = drawn(lake, rows=config.rows)
        return summed([asking.plan(samples) for asking in contest.askings])
    known = _newest(lake, contest.dataset) if config.promote in SIDES else None
    digest, counts = (known, {}) if known else _compare(lake, config, contest)
    if digest is None:
        return counts
    values = _values(lake, digest)
    print("\n".join(lines_of(values, [name_of(one) for one in contest.writers])))
    return {**counts, **promote_one(lake, config.promote, contest, values)}


def _compare(lake: Lake, config: Config, contest: Contest) -> tuple[str | None, Counts]:
    """Return the digest of the comparison, None where a budget ended it or nothing was answered, and counts."""
    samples = drawn(lake, rows=config.rows)
    with contest.askings[0].governor() as governor:
        asked = summed([one.ask_about(samples, governor, JOB.name) for one in contest.askings])
    if asked.get("left_by_the_budget"):
        return None, asked
    pairs = together(contest.askings, samples)
    if not pairs:
        return None, asked
    digest = digest_of(pairs, contest.scorer)
    if _values(lake, digest):
        return digest, asked
    judged = scored(lake, pairs, config.scorer) if config.scorer else pairs
    return digest, {
        "rows": len(pairs),
        "compared": len(pairs),
        "metrics": _write(lake, contest, digest, judged),
        **asked,
    }


def _write(lake: Lake, contest: Contest, digest: str, pairs: Sequence[Pair]) -> int:
    """Write the answers side by side, then the metrics, which say that all is there; return how many metrics."""
    about = {"comparison": digest, "scorer": contest.scorer}
    for side, writer in zip(SIDES, contest.writers, strict=True):
        about |= {f"{side}_{name}": value for name, value in {**writer.author, "prompt": writer.prompt}.items()}
    kinds = {column.name: column.type for column in COMPARISONS.columns if column.name != "run_id"}
    rows = [about | side_by_side(pair) for pair in pairs]
    schema = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
    frame = lake.spark.createDataFrame([tuple(row[name] for name in kinds) for row in rows], schema)
    # A run that died behind this line wrote them already.
    lake.append(COMPARISONS, frame, txn=Txn(f"{JOB.name}/{digest}", 1))
    return _write_metrics(lake, contest, digest, pairs)


def _write_metrics(lake: Lake, contest: Contest, digest: str, pairs: Sequence[Pair]) -> int:
    first, second = (load(writer.model).has_price for writer in contest.writers)
    found = compare(pairs, has_price=(first, second))
    return append_metrics(lake, found, checkpoint=digest, name=JOB.name, dataset=contest.dataset)


def _newest(lake: Lake, dataset: str) -> str | None:
    """Return the digest of the newest comparison of this name, by whatever scorer; None if there is none."""
    is_own = (F.col("dataset") == dataset) | F.startswith("dataset", F.lit(f"{dataset}/"))
    own = lake.read(EVALUATIONS).where((F.col("name") == JOB.name) & is_own)
    row = own.orderBy(F.desc("evaluated_at")).select("checkpoint").first()
    return None if row is None else str(row.checkpoint)


def _values(lake: Lake, digest: str) -> dict[str, float]:
    """Return the metrics of a comparison by name; none where it was not made."""
    own = lake.read(EVALUATIONS).where((F.col("name") == JOB.name) & (F.col("checkpoint") == digest))
    return {row.metric: row.value for row in own.select("metric", "value").collect()}


def promote_one(lake: Lake, choice: str, contest: Contest, values: Mapping[str, float]) -> Counts:
    """Promote who was named, or who won; raise BadInput where nobody won clearly."""
    if choice == "no":
        return {}
    side = winner(values) if choice == "winner" else choice
    if side is None:
        raise BadInput("nobody is promoted, as neither fits clearly better: name --promote first or second")
    why = f"{sentences_of(values)[1]} By {contest.scorer}." if choice == "winner" else "named by hand"
    writer = contest.writers[SIDES.index(side)]
    count = promote(lake, writer, why=why)
    print(f"{'promoted' if count else 'is promoted already'}: the {side}, {name_of(writer)} ({why})")
    print(f"next: {writer.command} describes what it was not asked about here, publish_gold then publishes it")
    return {"promoted": count} if count else {}


JOB = Job("compare_captions", Config, run, TABLES, RUNS, check=check)

if __name__ == "__main__":
    sys.exit(JOB.main())
