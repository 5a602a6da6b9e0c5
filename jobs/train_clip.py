"""gold.releases -> a checkpoint: train a CLIP on a release, streamed by Petastorm's Reader, without a JVM."""

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from lakehouse.cli import FROM_ZERO, POSITIVE, check_name
from lakehouse.errors import BadInput
from lakehouse.files import write_whole
from lakehouse.lake_root import is_local
from lakehouse.outcome import Counts
from lakehouse.small_rows import read_rows
from lakehouse.stream import CaptionStream, Mix, World
from lakehouse.stream.faults import MAX_SKIPPED, Quota
from lakehouse.trainer_job import TrainerJob
from lakehouse.weights import parse_weights
from schemas.gold import RELEASES, TRAINING
from schemas.ops import RUNS

if TYPE_CHECKING:
    from udfs.clip.training import Tally


@dataclass(frozen=True)
class Config:
    """Train a small CLIP from scratch on a release: contrastive loss, HQ-CLIP's hard negatives and tags.

    ``torchrun --nproc-per-node N -m jobs.train_clip`` trains by N processes together: the same steps on the same rows.
    """

    lake: Annotated[str, "root of the lakehouse: a folder or a bucket"]
    release: Annotated[str, "name of the release; the newest by default"] = ""
    name: Annotated[str, "name of the training run: its checkpoint goes to <lake>/_models/NAME"] = "clip"
    out: Annotated[str, "folder for the checkpoint, instead"] = ""
    mix: Annotated[str, "text columns and weights, such as alt_text=1; the release's own by default"] = ""
    negatives: Annotated[str, "negative text columns and weights; the release's own by default"] = ""
    image_size: Annotated[int, "side of the square that the model sees, in pixels", POSITIVE] = 64
    batch_size: Annotated[int, "rows a step, over all processes", POSITIVE] = 128
    micro_batch: Annotated[
        int, "most of them that a process computes at a time, 0 for all: less memory, the same gradient", FROM_ZERO
    ] = 0
    epochs: Annotated[int, "times over the training rows", POSITIVE] = 32
    max_steps: Annotated[int, "stop after so many steps; 0 for no limit", FROM_ZERO] = 0
    learning_rate: Annotated[float, "at its peak", POSITIVE] = 1e-3
    hni_weight: Annotated[
        float, "weight of hard-negative identification (ours: HQ-CLIP's is not published)", FROM_ZERO
    ] = 0.1
    stc_weight: Annotated[float, "weight of short-tag classification (ours: HQ-CLIP's is not published)", FROM_ZERO] = (
        0.002
    )
    vocab_size: Annotated[int, "entries of the tokenizer that is trained on the release's texts", POSITIVE] = 4000
    seed: Annotated[int, "seed of weights, order and augmentation"] = 0
    checkpoint_minutes: Annotated[
        float, "how often it is kept where the training is: from there a run that was cut off goes on", POSITIVE
    ] = 10.0


TOKENIZER_ROWS = 200_000
"""Rows whose texts the tokenizer is trained on: more change next to nothing and would have to be held in memory."""


def run(root: str, run_id: str, config: Config) -> Counts:
    """Train, unless the very same training is there already."""
    release = newest_release(root, config.release)
    folder = model_folder(root, config.name, config.out)
    settings = {
        **asdict(config),
        "lake": "",
        "out": "",
        "checkpoint_minutes": 0,
        "release": release,
        "digest": _release_row(root, release).get("digest"),
    }
    if _is_there(folder, settings):
        return {}
    from lakehouse import peers
    from udfs.clip.checkpoint import remove_checkpoint

    with peers.together(World.detect()):
        facts = _train(root, release, folder, settings, config)
        if peers.rank() == 0:
            facts |= {"settings": settings, "run_id": run_id}
            # Last, and whole: a folder with this file in it holds a finished training.
            write_whole(folder / "training.json", json.dumps(facts, indent=2) + "\n")
            remove_checkpoint(folder)
        return {"steps": facts["steps"], "samples": facts["samples"]}


def _train(root: str, release: str, folder: Path, settings: Mapping[str, Any], config: Config) -> dict[str, Any]:
    from udfs.clip.quiet import be_quiet

    be_quiet()
    from lakehouse import peers
    from udfs.clip.checkpoint import Checkpoint
    from udfs.clip.model import Sizes, save_clip, small_clip
    from udfs.clip.tokenizer import read_tokenizer
    from udfs.clip.training import Recipe, train

    stream, sizes, unread = _stream(root, release, config), Sizes(image_size=config.image_size), Quota(MAX_SKIPPED)
    checkpoint = Checkpoint(folder, json.dumps(settings), config.checkpoint_minutes)
    state = None
    if peers.rank() == 0:
        state = checkpoint.read() or {"tokenizer": _tokenizer(_texts(root, stream, unread), config, sizes.max_tokens)}
    state = peers.from_first(state)
    if "stream" in state:
        _go_on(stream, state)
    tokenizer = read_tokenizer(state["tokenizer"], max_tokens=sizes.max_tokens)
    model = small_clip(tokenizer, sizes, tag_count=stream.release.tag_count, seed=config.seed).to(peers.own_device())
    recipe = Recipe(
        learning_rate=config.learning_rate,
        hni_weight=config.hni_weight,
        stc_weight=config.stc_weight,
        micro_batch=config.micro_batch,
        seed=config.seed,
    )
    steps = min(config.epochs * len(stream), config.max_steps or sys.maxsize)
    done = state["training"]["tally"]["steps"] if "training" in state else 0

    def keep(training: Callable[[], dict[str, Any]]) -> None:
        checkpoint.write(
            lambda: {
                "tokenizer": state["tokenizer"],
                "stream": stream.state_dict(),
                "texts": dict(stream.counters.texts),
                "skipped": dict(stream.counters.skipped),
                "training": training(),
            }
        )

    with _speaking(folder, begun=done) as told:
        if peers.rank() == 0:
            told["after_step"] = keep
        epochs = _epochs(stream, steps, done)
        result = train(epochs, model, tokenizer, recipe, steps=steps, resume=state.get("training"), **told)
    if peers.rank() == 0:
        # Not before: until its weights are replaced, an earlier training stays one that can be used.
        for old in ("training.json", "retrieval.json"):
            (folder / old).unlink(missing_ok=True)
        save_clip(folder, model, tokenizer)
    weights = sum(weights.numel() for weights in model.parameters())
    return {**_told(result, stream), "parameters": weights, "texts_unread": unread.skipped.total()}


def _tokenizer(texts: Iterator[str], config: Config, max_tokens: int) -> str:
    from udfs.clip.tokenizer import train_tokenizer, write_tokenizer

    return write_tokenizer(train_tokenizer(texts, vocab_size=config.vocab_size, max_tokens=max_tokens))


def _told(result: "Tally", stream: CaptionStream) -> dict[str, Any]:
    """Return what a finished training says of itself."""
    return {
        "steps": result.steps,
        "samples": result.samples,
        "seconds": round(result.seconds, 2),
        "samples_per_second": round(result.samples / result.seconds, 1),
        "losses": [round(loss, 4) for loss in result.losses],
        "realised_mix": {name: round(share, 4) for name, share in stream.counters.realised_mix.items()},
        "rows": stream.rows,
        "skipped": stream.counters.skipped.total(),
    }


def _go_on(stream: CaptionStream, state: Mapping[str, Any]) -> None:
    """Have ``stream`` go on where the training was cut off, with what it had counted."""
    stream.load_state_dict(state["stream"])
    stream.counters.texts.update(state["texts"])
    stream.counters.skipped.update(state["skipped"])


@contextmanager
def _speaking(folder: Path, *, begun: int) -> Iterator[dict[str, Any]]:
    """Give what ``train`` tells of itself by: the first process writes and speaks for all."""
    from torch.utils.tensorboard import SummaryWriter

    from lakehouse import peers

    if peers.rank():
        yield {"progress": lambda pace: None}
        return
    folder.mkdir(parents=True, exist_ok=True)
    if begun:
        print(f"note: goes on from step {begun:,}, where an earlier run was cut off", file=sys.stderr)
    with SummaryWriter(str(folder / "tensorboard"), purge_step=begun + 1 if begun else None) as log:
        yield {"log": log}


def _stream(root: str, release: str, config: Config) -> CaptionStream:
    world = World.detect()
    train_rows = _release_row(root, release).get("train_rows", config.batch_size)
    if config.batch_size % world.size:
        raise BadInput(f"--batch-size {config.batch_size} is not shared equally by {world.size} processes")
    return CaptionStream(
        root,
        release=release,
        # A release smaller than a batch is one batch: the photographs of a machine without apt are.
        batch_size=max(1, min(config.batch_size, train_rows) // world.size),
        image_size=config.image_size,
        seed=config.seed,
        world=world,
        mix=_mix(config.mix),
        negatives=_mix(config.negatives),
    )


def _mix(text: str) -> Mix | None:
    return Mix(parse_weights(text)) if text else None


def _epochs(stream: CaptionStream, steps: int, done: int) -> Iterator[Iterator[Any]]:
    """Yield the batches of what is left of each epoch, up to ``steps`` in all, of which some are ``done``."""
    for epoch in range(stream.epoch, math.ceil(steps / len(stream))):
        left = min((epoch + 1) * len(stream), steps) - done
        # The stream comes first: it has to be asked once more to know that its epoch has ended.
        yield (batch for batch, _ in zip(stream, range(left), strict=False))
        done += left


def _texts(root: str, stream: CaptionStream, quota: Quota) -> Iterator[str]:
    """Yield the texts that a tokenizer should know: every positive text of the training rows, up to a bound."""
    from lakehouse.stream.texts import read_texts

    columns = ("web_text", "long_positive", "short_positive")
    rows = read_texts(root, stream.release, columns=columns, split="train", most=TOKENIZER_ROWS, quota=quota)
    for row in rows:
        yield from (text if isinstance(text, str) else ", ".join(text) for text in row.values() if text)


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


def _release_row(root: str, release: str) -> dict[str, Any]:
    return next((row for row in read_rows(root, RELEASES) if row["release"] == release), {})


def _is_there(folder: Path, settings: dict[str, Any]) -> bool:
    file = folder / "training.json"
    return file.exists() and json.loads(file.read_text())["settings"] == settings


JOB = TrainerJob("train_clip", Config, run, (RELEASES, TRAINING), RUNS)

if __name__ == "__main__":
    sys.exit(JOB.main())
