"""A checkpoint -> gold.evaluations: retrieval between held-out images and the web's own words, and suites asked for."""

import json
import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from jobs.subject import QUERY, Subject
from jobs.suites import (
    NEGATIVES,
    Suite,
    caption_file_suite,
    caption_suite,
    captioned,
    negative_suite,
    sugarcrepe_suite,
    tag_suite,
    tagged,
    text_columns,
    winoground_suite,
    zero_shot_suite,
)
from jobs.train_clip import model_folder
from lakehouse.cli import FROM_ZERO, POSITIVE
from lakehouse.errors import BadInput
from lakehouse.files import write_whole
from lakehouse.outcome import Counts
from lakehouse.small_rows import append_rows, read_rows
from lakehouse.stream.releases import read_release
from lakehouse.trainer_job import TrainerJob
from schemas.gold import EVALUATIONS, RELEASES, TRAINING
from schemas.ops import RUNS
from udfs.audit import Metric
from udfs.clip.figures import lines_of
from udfs.clip.suite_files import TEMPLATES, read_templates


@dataclass(frozen=True)
class Config:
    """Measure how often a held-out image is found by its own words, and the words by their image.

    Further suites are measured where a flag asks for them, each once a checkpoint; every figure has a 95 % interval.
    """

    lake: Annotated[str, "root of the lakehouse: a folder or a bucket"]
    name: Annotated[str, "name of the training run to evaluate"] = "clip"
    checkpoint: Annotated[str, "folder of the checkpoint, instead of <lake>/_models/NAME; any CLIP of transformers"] = (
        ""
    )
    release: Annotated[str, "release that holds the pairs out, instead of the one that was trained on"] = ""
    max_pairs: Annotated[
        int, "held-out pairs to search among: the first so many by image_id, which is a hash", POSITIVE
    ] = 500
    batch_size: Annotated[int, "images at a time", POSITIVE] = 128
    examples: Annotated[int, "queries whose found images are kept for the report", FROM_ZERO] = 12
    texts: Annotated[
        str, "retrieval of held-out pairs by these text columns, with commas between: several captions an image"
    ] = ""
    hard_negatives: Annotated[bool, "held-out images between their positive and their negative texts"] = False
    zero_shot_tags: Annotated[
        int, "classify held-out images that carry one of so many most frequent tags into these tags", FROM_ZERO
    ] = 0
    zero_shot: Annotated[
        str, "classify images without training: a folder FOLDER/CLASS NAME/*.jpg, a Parquet file or a Delta table"
    ] = ""
    image_column: Annotated[str, "column of images in a table for --zero-shot"] = "image"
    label_column: Annotated[str, "column with the name of the class in a table for --zero-shot"] = "label"
    templates: Annotated[
        str, "file of prompts with {} where the class goes, a line each, averaged; else: a photo of a {}."
    ] = ""
    captions: Annotated[
        str, "retrieval by a JSON file: image path to list of captions, or Karpathy's or COCO's form"
    ] = ""
    sugarcrepe: Annotated[str, "hard negatives: a folder of JSON files in SugarCrepe's form, or one of them"] = ""
    winoground: Annotated[str, "two images, two captions: a folder with Winoground's examples.jsonl, or the file"] = ""
    images: Annotated[
        str, "folder of the images that --captions, --sugarcrepe and --winoground name (default: images/ beside them)"
    ] = ""
    export_benchmark: Annotated[
        str, "write the held-out pairs into this folder, as LAION's CLIP_benchmark reads them (wds/...)"
    ] = ""


def run(root: str, run_id: str, config: Config) -> Counts:
    """Measure the checkpoint by each suite that it was not measured by before."""
    folder = model_folder(root, config.name, config.checkpoint)
    trained_on = _trained_on(folder)
    subject = _subject(root, folder, config.release or trained_on, config)
    asked = list(_asked(subject, config))
    if not subject.release and not asked:
        raise BadInput(f"no finished training in {str(folder)!r}: run train_clip first, or name a --release")
    about = {"checkpoint": subject.digest, "name": config.name, "release": trained_on or subject.release}
    about |= {"run_id": run_id}
    counts = Counter[str]()
    if subject.release:
        default = _default(subject, config, keeps=subject.release == trained_on)
        found, is_new = _measured(root, default, about)
        counts.update({"pairs": found[0].n, "metrics": len(found)} if is_new else {})
        print("\n".join(lines_of(default.dataset, found)))
    for suite in asked:
        found, is_new = _measured(root, suite, about)
        counts.update({"suites": 1, "metrics": len(found)} if is_new else {})
        print("\n".join(lines_of(suite.dataset, found)))
    if config.export_benchmark:
        counts["exported"] = _export(subject, config)
    return counts


def _subject(root: str, folder: Path, release: str, config: Config) -> Subject:
    columns = [*text_columns(config.texts), *(NEGATIVES if config.hard_negatives else ())]
    columns += ["tag_ids"] if config.zero_shot_tags else []
    if not release and (columns or config.export_benchmark):
        raise BadInput(f"no release to hold pairs out: {str(folder)!r} was trained on none, name a --release")
    if config.release:
        read_release(root, release)
    return Subject(root, folder, release, columns, config.max_pairs, config.batch_size)


def _asked(subject: Subject, config: Config) -> Iterator[Suite]:
    """Yield the suites that flags ask for; what cannot be used as given raises before anything is measured."""
    texts, templates, images = text_columns(config.texts), _templates(config), config.images
    if images and not (config.captions or config.sugarcrepe or config.winoground):
        raise BadInput("--images needs something that names them: --captions, --sugarcrepe or --winoground")
    if texts and texts != (QUERY,):  # by which it is measured anyway
        yield caption_suite(subject, texts)
    if config.hard_negatives:
        yield negative_suite(subject)
    if config.zero_shot_tags:
        yield tag_suite(subject, config.zero_shot_tags, templates)
    if config.zero_shot:
        names = {"image_column": config.image_column, "label_column": config.label_column}
        yield zero_shot_suite(subject, Path(config.zero_shot), templates, **names)
    if config.captions:
        yield caption_file_suite(subject, Path(config.captions), images)
    if config.sugarcrepe:
        yield sugarcrepe_suite(subject, Path(config.sugarcrepe), images)
    if config.winoground:
        yield winoground_suite(subject, Path(config.winoground), images)


def _templates(config: Config) -> tuple[str, ...]:
    if not config.templates:
        return TEMPLATES
    if not config.zero_shot and not config.zero_shot_tags:
        raise BadInput("--templates needs something to classify: --zero-shot or --zero-shot-tags")
    return read_templates(Path(config.templates))


def _measured(root: str, suite: Suite, about: Mapping[str, Any]) -> tuple[Sequence[Metric], bool]:
    """Return what the checkpoint comes to on ``suite``, and whether that is new; it is written then."""
    own = {"checkpoint": about["checkpoint"], "name": about["name"], "dataset": suite.dataset}
    known = [row for row in read_rows(root, EVALUATIONS) if all(row[key] == value for key, value in own.items())]
    if known:
        return [Metric(*(row[name] for name in ("metric", "value", "n", "low", "high"))) for row in known], False
    from udfs.clip.quiet import be_quiet

    be_quiet()
    found = suite.measure()
    append_rows(
        root,
        EVALUATIONS,
        [{**about, **own, **asdict(metric), "evaluated_at": datetime.now(UTC)} for metric in found],
    )
    return found, True


def _default(subject: Subject, config: Config, *, keeps: bool) -> Suite:
    """Retrieval by the web's own words, by which every training run is measured; ``keeps`` what the report shows."""

    def measure() -> Sequence[Metric]:
        found, metrics = _retrieve(subject, config)
        if keeps:
            # Before the rows: they are what says that the evaluation was made.
            write_whole(subject.folder / "retrieval.json", json.dumps(found, indent=2) + "\n")
        return metrics

    return Suite(subject.dataset(QUERY), measure)


def _retrieve(subject: Subject, config: Config) -> tuple[dict[str, Any], Sequence[Metric]]:
    from udfs.clip.retrieval import nearest, recall_ceiling
    from udfs.clip.suites import recall_metrics

    rows = subject.held_out.rows
    queries = [row[QUERY] for row in rows]
    similarity = subject.encoder.texts(queries) @ subject.held_out.features.T
    examples = [
        {
            "query": queries[place],
            "sample_id": rows[place]["sample_id"],
            "found": [rows[at]["sample_id"] for at in best],
        }
        for place, best in enumerate(nearest(similarity, 6)[: config.examples].tolist())
    ]
    metrics = recall_metrics(similarity, images=[row["image_id"] for row in rows])
    found = {
        "n": len(rows),
        "texts_unread": subject.held_out.unread,
        "metrics": {one.metric: one.value for one in metrics},
        "ceiling_r10": round(recall_ceiling(queries, 10), 4),
        "examples": examples,
    }
    return found, metrics


def _export(subject: Subject, config: Config) -> int:
    """Write the held-out pairs for CLIP_benchmark: retrieval by the texts asked for, and tags if they are; say how."""
    from udfs.clip.clip_benchmark import write_classification, write_retrieval

    folder, images = Path(config.export_benchmark), subject.jpegs()
    captions = captioned(subject.held_out.rows, text_columns(config.texts) or (QUERY,))
    written = write_retrieval(folder / "retrieval", ((images[place], own) for place, own in captions.items()))
    tasks = {"retrieval": "zeroshot_retrieval"}
    if config.zero_shot_tags:
        found = tagged(subject, config.zero_shot_tags)
        pairs = ((images[place], label) for place, label in found.labels.items())
        written += write_classification(folder / "tags", pairs, classes=found.classes, templates=_templates(config))
        tasks["tags"] = "zeroshot_classification"
    for name, task in tasks.items():
        where = shlex.quote(str(folder / name))
        print(f"next: clip_benchmark eval --dataset wds/{name} --dataset_root {where} --task {task} --model ...")
    return written


def _trained_on(folder: Path) -> str:
    """Return the release that the checkpoint in ``folder`` was trained on, "" where it comes from elsewhere."""
    file = folder / "training.json"
    return str(json.loads(file.read_text())["settings"]["release"]) if file.exists() else ""


JOB = TrainerJob("evaluate_clip", Config, run, (RELEASES, TRAINING), RUNS)

if __name__ == "__main__":
    sys.exit(JOB.main())
