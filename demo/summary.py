"""What the demo found, in figures: build/demo/summary.json and the table at the end."""

import json
import shlex
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyspark.sql import functions as F

from jobs import query_lakehouse
from jobs.run_pipeline import RUNS_OF_CLIP
from lakehouse.errors import JoinAuditFailed
from lakehouse.lake import Lake
from schemas.bronze import PAIRS
from schemas.gold import CAPTIONS, EVALUATIONS, RELEASES, WEBS_OWN
from schemas.ops import REJECTS
from schemas.silver import SELECTIONS
from schemas.stages import selecting

_KS = (1, 5, 10)
_DIRECTIONS = {"i2t": "image_to_text", "t2i": "text_to_image"}


def summarise(lake: Lake, seconds: Mapping[str, float]) -> dict[str, Any]:
    """Return the figures of the lake as it stands; raise JoinAuditFailed unless the counts add up to the row."""
    rejected = _rejected(lake)
    selected = lake.read(SELECTIONS).where(F.col("selection") == "default").count()
    bronze = lake.read(PAIRS).count()
    ingested = bronze + sum(n for (stage, _), n in rejected.items() if stage == "ingest_pairs")
    by_reason: Counter[str] = Counter()
    for (_, reason), count in rejected.items():
        by_reason[reason] += count
    if ingested != selected + sum(by_reason.values()):
        raise JoinAuditFailed(f"{ingested:,} pairs came in, but {selected:,} + {sum(by_reason.values()):,} came out")
    release = _release(lake)
    return {
        "pairs_ingested": ingested,
        "pairs_in_bronze": bronze,
        "pairs_selected": selected,
        "rejected": dict(by_reason.most_common()),
        "captions": lake.read(CAPTIONS).count(),
        "release": release,
        "train": {**_trained(lake, "mix"), "alt_text": _trained(lake, "alt_text")},
        "retrieval": {name: _retrieval(lake, name, release["name"]) for name in RUNS_OF_CLIP},
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
    }


def _rejected(lake: Lake) -> dict[tuple[str, str], int]:
    """Rows turned away before captioning, by stage and reason."""
    stages = F.col("stage").isin("ingest_pairs", "measure_pairs", selecting("default"))
    counted = lake.read(REJECTS).where(stages).groupBy("stage", "reason").count().collect()
    return {(row["stage"], row["reason"]): row["count"] for row in counted}


def _release(lake: Lake) -> dict[str, Any]:
    row = lake.read(RELEASES).orderBy(F.desc("released_at")).first()
    if row is None:
        return {"name": "", "table_version": 0, "rows": 0, "digest": ""}
    rows = row.train_rows + row.held_out_rows
    return {"name": row.release, "table_version": row.table_version, "rows": rows, "digest": row.digest}


def _trained(lake: Lake, name: str) -> dict[str, Any]:
    file = Path(lake.root) / "_models" / name / "training.json"
    if not file.exists():
        return {}
    facts: dict[str, Any] = json.loads(file.read_text())
    return {key: facts[key] for key in ("steps", "seconds", "samples_per_second")}


def _retrieval(lake: Lake, name: str, release: str) -> dict[str, Any]:
    is_ours = (F.col("name") == name) & (F.col("release") == release) & F.col("dataset").contains(WEBS_OWN)
    newest = F.max_by(F.struct("value", "n"), "evaluated_at").alias("newest")
    rows = lake.read(EVALUATIONS).where(is_ours).groupBy("metric").agg(newest).collect()
    values = {row.metric: row.newest for row in rows}
    if not values:
        return {"n": 0}
    found = {
        short: {f"r{k}": round(values[f"{long}_r{k}"].value, 4) for k in _KS} for short, long in _DIRECTIONS.items()
    }
    return {"n": next(iter(values.values())).n, **found}


def write_summary(summary: Mapping[str, Any], file: Path) -> None:
    """Write the figures as JSON."""
    file.write_text(json.dumps(summary, indent=2) + "\n")


def print_table(summary: Mapping[str, Any], *, report: str, lake: str) -> None:
    """Print the figures for people."""
    print(f"\n{'pairs ingested':<28}{summary['pairs_ingested']:>10,}")
    for reason, count in summary["rejected"].items():
        print(f"  - {reason.replace('_', ' '):<24}{count:>10,}")
    print(f"{'pairs selected':<28}{summary['pairs_selected']:>10,}")
    print(f"{'captions (four texts each)':<28}{summary['captions']:>10,}")
    measured = {name: found for name, found in summary["retrieval"].items() if found["n"]}
    for name, found in measured.items():
        chance = min(1.0, 10 / found["n"])
        print(f"\nheld-out retrieval, trained on {name}, {found['n']:,} pairs (chance: R@10 {chance:.3f})")
        for short, words in (("t2i", "text to image"), ("i2t", "image to text")):
            print(f"  {words:<16}" + "".join(f"  R@{k} {found[short][f'r{k}']:.3f}" for k in _KS))
    release = summary["release"]
    print(
        f"\nrelease {release['name']}: {release['rows']:,} rows of version {release['table_version']} of gold.training"
    )
    print(f"{summary['seconds']['total']:.0f} s, once the environment was there")
    print(f"\nlook:   {report}\nlake:   {lake}\nask:    {_question(lake)}")


def _question(lake: str) -> str:
    """Return a command that asks ``lake`` something, to be typed as it stands."""
    where = "" if lake == query_lakehouse.Config("").lake else f" --lake {shlex.quote(lake)}"
    question = "SELECT alt_text, long_positive FROM gold.captions LIMIT 5"
    return f".venv/bin/python -m jobs.query_lakehouse {shlex.quote(question)}{where}"
