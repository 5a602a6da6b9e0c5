"""gold.releases -> a checkpoint: train a CLIP on a release, streamed by Petastorm's Reader, without a JVM."""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from lakehouse.cli import FROM_ZERO, POSITIVE, Range, check_name
from lakehouse.errors import BadInput
from lakehouse.files import write_whole
from lakehouse.lake_root import is_local
from lakehouse.outcome import Counts, logs_folder
from lakehouse.small_rows import read_rows
from lakehouse.stream import Release, World
from lakehouse.stream.releases import read_release
from lakehouse.trainer_job import TrainerJob
from schemas.gold import RELEASES, TRAINING
from schemas.ops import RUNS
from udfs.clip.feed import Feed
from udfs.clip.plan import Plan
from udfs.clip.presets import Scale, check_share, scale_of
from udfs.clip.recipe import Recipe
from udfs.clip.start import find_start

_TRAININGS_OWN = frozenset({"training.json", "checkpoint.pt", "tensorboard"})
"""One of these lies in the folder of every training, whatever moment it was cut off at."""
_BELOW_ONE = Range(lambda number: 0 <= number < 1, "0 or more, and less than 1")


@dataclass(frozen=True)
class Config:
    """Train a CLIP or a SigLIP on a release: contrastive loss, HQ-CLIP's hard negatives and tags, NegCLIP's columns.

    ``torchrun --nproc-per-node N -m jobs.train_clip`` trains by N processes together: the same steps on the same rows.
    """

    lake: Annotated[str, "root of the lakehouse: a folder or a bucket"]
    release: Annotated[str, "name of the release; the newest by default"] = ""
    name: Annotated[str, "name of the training run: its checkpoint goes to <lake>/_models/NAME"] = "clip"
    out: Annotated[str, "folder for the checkpoint, instead"] = ""
    preset: Annotated[
        str,
        "recipe by name: datacomp-small, -medium, -large or -xlarge, which settle views of images and losses too (no "
        "flip, no negatives, no tags); the flags that are given go before it",
    ] = ""
    model: Annotated[
        str | None,
        "what to start from: a size (small, ViT-B-32, ViT-B-16, ViT-L-14, small-SigLIP, ViT-B-16-SigLIP), or a folder "
        "that CLIPModel or SiglipModel reads: with weights it is fine-tuned, with config.json alone trained from "
        "scratch (default: small, or the preset's)",
    ] = None
    mix: Annotated[str, "text columns and weights, such as alt_text=1; the release's own by default"] = ""
    negatives: Annotated[str, "negative text columns and weights; the release's own by default"] = ""
    long_texts: Annotated[
        str, "what is taken of a long text: whole, first:N sentences, span:N (a run of them, drawn), or drop:77 tokens"
    ] = "whole"
    crop: Annotated[
        str | None,
        "random: a square anywhere, center: in the middle, random_resized: of varying size and shape "
        "(default: random; random_resized with a preset)",
    ] = None
    flip: Annotated[
        bool | None,
        "mirror half of the images, but none of which a chosen text says left or right (default: yes; no with a "
        "preset)",
    ] = None
    image_size: Annotated[
        int | None,
        "side of the square that the model sees, in pixels (default: the model's own, 64 of small)",
        POSITIVE,
    ] = None
    batch_size: Annotated[int | None, "rows a step, over all processes (default: 128, or the preset's)", POSITIVE] = (
        None
    )
    micro_batch: Annotated[
        int,
        "gradient accumulation: most images that a process computes at a time, with up to twice as many texts (the "
        "negatives), 0 for all; the loss is still that of the whole batch (gradient caching), so the gradient is the "
        "same for less memory",
        FROM_ZERO,
    ] = 0
    gradient_checkpointing: Annotated[
        bool, "activation checkpointing: compute the inside of each layer again in the backward pass, for less memory"
    ] = False
    epochs: Annotated[
        int | None, "times over the training rows (default: 32; given, it goes before a preset's samples)", POSITIVE
    ] = None
    samples: Annotated[
        int | None, "samples seen in all, instead of epochs; 0 for epochs (default: 0, or the preset's)", FROM_ZERO
    ] = None
    max_steps: Annotated[int, "stop after so many steps; 0 for no limit", FROM_ZERO] = 0
    learning_rate: Annotated[float | None, "at its peak (default: 0.001, or the preset's)", POSITIVE] = None
    warmup_steps: Annotated[
        int | None, "steps over which it rises; 0 for a tenth of all (default: 0, or the preset's)", FROM_ZERO
    ] = None
    weight_decay: Annotated[float | None, "of matrices, in AdamW (default: 0.2)", FROM_ZERO] = None
    beta2: Annotated[float | None, "of AdamW (default: 0.98, or the preset's)", _BELOW_ONE] = None
    ema: Annotated[
        float, "decay of a moving average of the weights, such as 0.9999: it is what is saved; 0 for none", _BELOW_ONE
    ] = 0.0
    hni_weight: Annotated[
        float | None,
        "weight of hard-negative identification (ours: HQ-CLIP's is not published; default: 0.1; 0 with a preset)",
        FROM_ZERO,
    ] = None
    stc_weight: Annotated[
        float | None,
        "weight of short-tag classification (ours: HQ-CLIP's is not published; default: 0.002; 0 with a preset)",
        FROM_ZERO,
    ] = None
    neg_columns: Annotated[bool, "negatives as further texts in the loss over the batch (NegCLIP)"] = False
    label_smoothing: Annotated[float, "of CLIP's loss; SigLIP's has none", _BELOW_ONE] = 0.0
    word_dropout: Annotated[float, "share of a text's words that are left out, others each time", _BELOW_ONE] = 0.0
    vocab_size: Annotated[
        int | None,
        "entries of the tokenizer that is trained on the release's texts, where the model has none of its own "
        "(default: 4000, or the preset's)",
        POSITIVE,
    ] = None
    seed: Annotated[int, "seed of weights, order and augmentation"] = 0
    checkpoint_minutes: Annotated[
        float, "how often it is kept where the training is: from there a run that was cut off goes on", POSITIVE
    ] = 10.0
    spark: Annotated[
        int,
        "processes that Spark starts by TorchDistributor, here or on a cluster's executors; 0 for no Spark",
        FROM_ZERO,
    ] = 0


def run(root: str, run_id: str, config: Config) -> Counts:
    """Train, unless the very same training is there already."""
    release = read_release(root, newest_release(root, config.release))
    folder, plan = model_folder(root, config.name, config.out), plan_of(config, release)
    _check_place(folder, plan)
    _check_batch(plan, release)
    if _is_there(folder, plan, release):
        return {}
    if config.spark:
        return _run_on_spark(root, run_id, config, plan)
    from udfs.clip.quiet import be_quiet

    be_quiet()
    from lakehouse import peers
    from udfs.clip.checkpoint import remove_checkpoint
    from udfs.clip.run import train_release

    with peers.together(World.detect()):
        facts = train_release(root, release, folder, plan)
        if peers.rank() == 0:
            facts |= {"settings": plan.settings, "run_id": run_id}
            # Last, and whole: a folder with this file in it holds a finished training.
            write_whole(folder / "training.json", json.dumps(facts, indent=2) + "\n")
            remove_checkpoint(folder)
        return {"steps": facts["steps"], "samples": facts["samples"]}


def run_share(root: str, run_id: str, flags: Mapping[str, Any]) -> Counts:
    """Do what one of several processes does of a training with these flags."""
    return run(root, run_id, Config(**flags))


def _run_on_spark(root: str, run_id: str, config: Config, plan: Plan) -> Counts:
    check_share(plan.scale.batch_size, config.spark)
    # By the name under which the processes can import it: here it may be that of a script.
    from jobs.train_clip import run_share as share
    from lakehouse.torch_on_spark import run_on_spark

    flags = {**asdict(config), "spark": 0}
    counts: Counts = run_on_spark("train_clip", config.spark, share, root, run_id, flags, logs=logs_folder(root))
    return counts


def plan_of(config: Config, release: Release) -> Plan:
    """Return what the flags and their preset come to; raise BadInput for a preset or a model that there is not."""
    scale = _scale(config)
    start = find_start(scale.model, scale.image_size)
    own = {"model": start.name, "revision": start.revision, "image_size": start.image_size}
    place = {"lake": "", "out": "", "checkpoint_minutes": 0, "spark": 0}
    known = {"release": release.release, "digest": release.digest}
    return Plan(
        start,
        scale,
        _recipe(config, scale),
        Feed(config.mix, config.negatives, config.long_texts, scale.crop, scale.flip),
        max_steps=config.max_steps,
        checkpoint_minutes=config.checkpoint_minutes,
        settings={**asdict(config), **asdict(scale), **own, **place, **known},
    )


def _scale(config: Config) -> Scale:
    return scale_of(
        config.preset,
        model=config.model,
        image_size=config.image_size,
        vocab_size=config.vocab_size,
        batch_size=config.batch_size,
        epochs=config.epochs,
        samples=config.samples,
        learning_rate=config.learning_rate,
        warmup_steps=config.warmup_steps,
        weight_decay=config.weight_decay,
        beta2=config.beta2,
        crop=config.crop,
        flip=config.flip,
        hni_weight=config.hni_weight,
        stc_weight=config.stc_weight,
    )


def _recipe(config: Config, scale: Scale) -> Recipe:
    return Recipe(
        learning_rate=scale.learning_rate,
        warmup_steps=scale.warmup_steps,
        weight_decay=scale.weight_decay,
        beta2=scale.beta2,
        hni_weight=scale.hni_weight,
        stc_weight=scale.stc_weight,
        neg_columns=config.neg_columns,
        smoothing=config.label_smoothing,
        word_dropout=config.word_dropout,
        ema=config.ema,
        micro_batch=config.micro_batch,
        gradient_checkpointing=config.gradient_checkpointing,
        seed=config.seed,
    )


def newest_release(root: str, name: str) -> str:
    """Return ``name``, or the name of the newest release; raise BadInput where there is none."""
    releases = read_rows(root, RELEASES)
    if not releases:
        raise BadInput(f"there is no release in {root!r}: run release_training first")
    return name or str(max(releases, key=lambda row: row["released_at"])["release"])


def model_folder(root: str, name: str, out: str = "") -> Path:
    """Return where the checkpoint of training run ``name`` lies; raise BadInput where a folder must be given."""
    if out:
        return Path(out)
    if not is_local(root):
        raise BadInput(f"{root!r} is a bucket: name a local folder for the checkpoint with --out (--checkpoint)")
    check_name("--name", name)
    return Path(root) / "_models" / name


def _check_batch(plan: Plan, release: Release) -> None:
    """Say so where the release has fewer rows than a batch should."""
    if release.train_rows < plan.scale.batch_size and World.detect().rank == 0:
        print(f"note: batches of {release.train_rows:,} rows, as the release has no more", file=sys.stderr)


def _check_place(folder: Path, plan: Plan) -> None:
    """Raise BadInput where the model that is trained on, or somebody's files, would be written over."""
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{str(folder)!r} is no folder: name one with --out")
    there = {file.name for file in folder.iterdir()} if folder.exists() else set()
    if there and not there & _TRAININGS_OWN:
        raise BadInput(f"{str(folder)!r} holds {min(there)!r} and no training: name an empty folder with --out")
    own = plan.start.folder
    if own is not None and own.path.resolve() == folder.resolve():
        raise BadInput(f"{str(folder)!r} is the folder of --model too: name another with --name or --out")


def _is_there(folder: Path, plan: Plan, release: Release) -> bool:
    file = folder / "training.json"
    if not file.exists():
        return False
    # A flag that came after that training was made stood at its default.
    before = {**plan_of(Config(lake=""), release).settings, **json.loads(file.read_text())["settings"]}
    return before == plan.settings


JOB = TrainerJob("train_clip", Config, run, (RELEASES, TRAINING), RUNS)

if __name__ == "__main__":
    sys.exit(JOB.main())
