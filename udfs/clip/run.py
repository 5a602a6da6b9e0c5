"""A training from its plan to the folder of the model, by this process or by all that train together."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast

from lakehouse import peers
from lakehouse.stream import CaptionStream, Release, World
from lakehouse.stream.counters import Counters
from lakehouse.stream.faults import MAX_SKIPPED, Quota
from udfs.clip.checkpoint import Checkpoint, State
from udfs.clip.feed import counts_before, epochs_of, open_stream, step_count, stream_state, texts_of
from udfs.clip.model import begin, save_clip
from udfs.clip.plan import Plan
from udfs.clip.pretrained import read_tokenizer_in
from udfs.clip.telling import counts_of_all, facts_of, speaking
from udfs.clip.tokenizer import read_tokenizer, train_tokenizer, write_tokenizer
from udfs.clip.training import train


def train_release(root: str, release: Release, folder: Path, plan: Plan) -> dict[str, Any]:
    """Train on a release, write the model into ``folder``, and return what is to be told of the training.

    It goes on where a training of the same plan was cut off.
    """
    stream, unread = _stream(root, release, plan), Quota(MAX_SKIPPED)
    checkpoint = Checkpoint(folder, json.dumps(plan.settings), plan.checkpoint_minutes)
    state = None
    if peers.rank() == 0:
        state = checkpoint.read() or {"tokenizer": _new_tokenizer(root, release, plan, unread)}
    state = peers.from_first(state)
    if "stream" in state:
        stream.load_state_dict(state["stream"])
    before = counts_before(state)
    tokenizer = _tokenizer(plan, state["tokenizer"])
    model = begin(plan.start, tokenizer, tag_count=release.tag_count, seed=plan.recipe.seed).to(peers.own_device())
    steps = step_count(stream, plan.scale, plan.max_steps)
    done = state["training"]["tally"]["steps"] if "training" in state else 0
    # Taken out as it is read: no process holds a second copy of the weights and of what Adam knows of them.
    resume = partial(state.pop, "training") if "training" in state else None
    with speaking(folder, stream, begun=done) as told:
        told["after_step"] = _keeping(checkpoint, stream, before, state["tokenizer"])
        epochs = epochs_of(stream, steps, done)
        tally = train(epochs, model, tokenizer, plan.recipe, steps=steps, resume=resume, **told)
    facts = facts_of(tally, stream.rows, counts_of_all(stream.counters, before))
    if peers.rank() == 0:
        # Not before: until its weights are replaced, an earlier training stays one that can be used.
        for old in ("training.json", "retrieval.json"):
            (folder / old).unlink(missing_ok=True)
        save_clip(folder, model, tokenizer)
    weights = sum(weights.numel() for weights in model.parameters())
    saved = f"moving average, decay {plan.recipe.ema}" if plan.recipe.ema else "of the last step"
    return {**facts, "parameters": weights, "weights": saved, "texts_unread": unread.skipped.total()}


def _stream(root: str, release: Release, plan: Plan) -> CaptionStream:
    return open_stream(
        root,
        release,
        plan.scale,
        plan.feed,
        image_size=plan.start.image_size,
        seed=plan.recipe.seed,
        world=World.detect(),
        device=peers.own_device(),
    )


def _new_tokenizer(root: str, release: Release, plan: Plan, unread: Quota) -> str:
    """Return a tokenizer of the release's texts, as text; empty where the model has its own."""
    if plan.start.has_tokenizer:
        return ""
    texts = texts_of(root, release, unread)
    return write_tokenizer(train_tokenizer(texts, vocab_size=plan.scale.vocab_size, max_tokens=plan.start.max_tokens))


def _tokenizer(plan: Plan, trained: str) -> PreTrainedTokenizerFast:
    if plan.start.folder is not None and plan.start.has_tokenizer:
        return read_tokenizer_in(plan.start.folder)
    masks = plan.start.architecture == "clip"
    return read_tokenizer(trained, max_tokens=plan.start.max_tokens, masks_padding=masks)


def _keeping(
    checkpoint: Checkpoint, stream: CaptionStream, before: Counters, tokenizer: str
) -> Callable[[Callable[[], State]], None]:
    """Return what writes the checkpoint after a step, given what returns the state of the training.

    The first process writes, when its clock says so; all tell it what they have counted.
    """

    def keep(training: Callable[[], Mapping[str, Any]]) -> None:
        if not _is_due(checkpoint):
            return
        counts = counts_of_all(stream.counters, before)
        if peers.rank() == 0:
            checkpoint.write({"tokenizer": tokenizer, **stream_state(stream, counts), "training": training()})

    return keep


def _is_due(checkpoint: Checkpoint) -> bool:
    own = float(checkpoint.is_due and peers.rank() == 0)
    return bool(peers.mean(torch.tensor(own, device=peers.own_device())) > 0)
