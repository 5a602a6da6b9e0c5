"""A checkpoint -> gold.evaluations: retrieval between held-out images and the web's own words about them."""

import hashlib
import heapq
import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from jobs.train_clip import model_folder
from lakehouse.cli import FROM_ZERO, POSITIVE
from lakehouse.errors import BadInput
from lakehouse.files import write_whole
from lakehouse.outcome import Counts
from lakehouse.small_rows import append_rows, read_rows
from lakehouse.stream import CaptionStream, Mix
from lakehouse.stream.faults import MAX_SKIPPED, Quota
from lakehouse.trainer_job import TrainerJob
from schemas.gold import EVALUATIONS, RELEASES, TRAINING
from schemas.ops import RUNS


@dataclass(frozen=True)
class Config:
    """Measure how often a held-out image is found by its own words, and the words by their image."""

    lake: Annotated[str, "root of the lakehouse: a folder or a bucket"]
    name: Annotated[str, "name of the training run to evaluate"] = "clip"
    checkpoint: Annotated[str, "folder of the checkpoint, instead of <lake>/_models/NAME"] = ""
    max_pairs: Annotated[
        int, "held-out pairs to search among: the first so many by image_id, which is a hash", POSITIVE
    ] = 500
    batch_size: Annotated[int, "images at a time", POSITIVE] = 128
    examples: Annotated[int, "queries whose found images are kept for the report", FROM_ZERO] = 12


QUERY = "web_text"
"""What images are searched by: the web's own words, alt-text and tags; nothing generated."""


def run(root: str, run_id: str, config: Config) -> Counts:
    """Evaluate the checkpoint, unless it was evaluated so before."""
    folder = model_folder(root, config.name, config.checkpoint)
    facts = _training_facts(folder)
    release = facts["settings"]["release"]
    checkpoint = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    dataset = f"{release}/held_out/{QUERY}/{config.max_pairs}"
    there = (
        row for row in read_rows(root, EVALUATIONS) if row["checkpoint"] == checkpoint and row["name"] == config.name
    )
    if any(row["dataset"] == dataset for row in there):
        return {}
    found = _retrieve(root, folder, release, config)
    about = {"checkpoint": checkpoint, "name": config.name, "dataset": dataset, "release": release, "run_id": run_id}
    about |= {"n": found["n"], "evaluated_at": datetime.now(UTC)}
    # Before the rows: they are what says that the evaluation was made.
    write_whole(folder / "retrieval.json", json.dumps(found, indent=2) + "\n")
    append_rows(
        root, EVALUATIONS, [about | {"metric": metric, "value": value} for metric, value in found["metrics"].items()]
    )
    return {"pairs": found["n"], "metrics": len(found["metrics"])}


def _retrieve(root: str, folder: Path, release: str, config: Config) -> dict[str, Any]:
    from udfs.clip.quiet import be_quiet

    be_quiet()
    from udfs.clip.model import load_clip
    from udfs.clip.retrieval import embed_images, embed_texts, nearest, recall_at, recall_ceiling

    model, tokenizer = load_clip(folder)
    size = model.clip.config.vision_config.image_size
    unread = Quota(MAX_SKIPPED)
    rows, images = _held_out(root, release, size, config, unread)
    queries = [row[QUERY] for row in rows]
    features = embed_images(model, images.split(config.batch_size))
    similarity = embed_texts(model, tokenizer, queries) @ features.T
    found = nearest(similarity, 6)
    examples = [
        {
            "query": queries[place],
            "sample_id": rows[place]["sample_id"],
            "found": [rows[at]["sample_id"] for at in best],
        }
        for place, best in enumerate(found[: config.examples].tolist())
    ]
    metrics = {name: round(value, 6) for name, value in recall_at(similarity).items()}
    ceiling = round(recall_ceiling(queries, 10), 4)
    return {
        "n": len(rows),
        "texts_unread": unread.skipped.total(),
        "metrics": metrics,
        "ceiling_r10": ceiling,
        "examples": examples,
    }


def _held_out(root: str, release: str, size: int, config: Config, quota: Quota) -> tuple[list[dict[str, Any]], Any]:
    """Return the rows to search among and their images, uint8 (rows, 3, side, side), place by place."""
    import torch

    from lakehouse.stream.texts import read_texts

    stream = CaptionStream(
        root,
        release=release,
        split="held_out",
        batch_size=config.batch_size,
        image_size=size,
        mix=Mix({QUERY: 1}),
        negatives=Mix(),
        crop="center",
        shuffle=False,
        drop_last=False,
    )
    columns = ("sample_id", "image_id", QUERY)
    texts = read_texts(root, stream.release, columns=columns, split="held_out", most=stream.rows, quota=quota)
    rows = heapq.nsmallest(config.max_pairs, texts, key=lambda row: (row["image_id"], row["sample_id"]))
    if not rows:
        raise BadInput(f"release {release!r} holds nothing out: publish_gold --held-out 0.1 makes it so")
    places = {row["sample_id"]: place for place, row in enumerate(rows)}
    images = torch.empty(len(rows), 3, size, size, dtype=torch.uint8)
    seen = set()
    for batch in stream:
        for index, name in enumerate(batch.sample_id):
            if name in places:
                images[places[name]] = batch.image[index]
                seen.add(name)
    readable = [place for place, row in enumerate(rows) if row["sample_id"] in seen]
    return [rows[place] for place in readable], images[readable]


def _training_facts(folder: Path) -> dict[str, Any]:
    file = folder / "training.json"
    if not file.exists():
        raise BadInput(f"no finished training in {str(folder)!r}: run train_clip first")
    facts: dict[str, Any] = json.loads(file.read_text())
    return facts


JOB = TrainerJob("evaluate_clip", Config, run, (RELEASES, TRAINING), RUNS)

if __name__ == "__main__":
    sys.exit(JOB.main())
