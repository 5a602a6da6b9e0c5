"""The held-out pairs of a release, and what a checkpoint gets right of each: an outcome from 0 to 1 a metric."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from benchmarks.stream.seeds import Floats
from lakehouse.stream import CaptionStream, Mix
from lakehouse.stream.faults import Quota
from lakehouse.stream.releases import Release
from lakehouse.stream.texts import read_texts
from udfs.blind_test import blind_test
from udfs.clip.hard_negatives import hard_negative_outcomes, other_image_outcomes
from udfs.clip.model import load_clip
from udfs.clip.retrieval import embed_images, embed_texts, recall_ceiling
from udfs.words import one_text

QUERIES: Final = ("web_text", "long_positive")
"""Texts that images are searched by: the web's own words, which evaluate_clip searches by, and the recaptions."""

KS: Final = (1, 5, 10)
LENGTHS: Final = ("long", "short")
_BATCH: Final = 128


@dataclass(frozen=True)
class HeldOut:
    """Held-out rows with their texts, and their images, uint8 (rows, 3, side, side), place by place."""

    rows: Sequence[Mapping[str, Any]]
    images: Tensor

    @property
    def images_of_rows(self) -> list[str]:
        """The id of each row's image: one may stand in several rows."""
        return [row["image_id"] for row in self.rows]

    def texts(self, column: str) -> list[str]:
        """Return one text a row; tags as one text with commas."""
        return [one_text(row[column]) for row in self.rows]

    def ceilings(self, k: int) -> dict[str, float]:
        """Return, by query, the recall at ``k`` of a model that errs in nothing: equal texts cannot be told apart."""
        return {query: round(recall_ceiling(self.texts(query), k), 4) for query in QUERIES}


def read_held_out(lake: str, release: Release, *, side: int) -> HeldOut:
    """Return all held-out pairs of ``release`` in the table's order; a row that cannot be read is an error."""
    stream = CaptionStream(
        lake,
        release=release.release,
        split="held_out",
        batch_size=_BATCH,
        image_size=side,
        mix=Mix(long_positive=1),
        negatives=Mix(),
        crop="center",
        shuffle=False,
        drop_last=False,
        max_skipped=0,
    )
    images = {name: image for batch in stream for name, image in zip(batch.sample_id, batch.image.clone(), strict=True)}
    rows = _texts(lake, release, "held_out")
    return HeldOut(rows, torch.stack([images[row["sample_id"]] for row in rows]))


def _texts(lake: str, release: Release, split: str) -> list[dict[str, Any]]:
    sides = [f"{length}_{side}" for length in LENGTHS for side in ("positive", "negative")]
    columns = list(dict.fromkeys(["sample_id", "image_id", *QUERIES, *sides]))
    most = release.rows_of(split) or 0
    return list(read_texts(lake, release, columns=columns, split=split, most=most, quota=Quota(0)))


@torch.inference_mode()
def outcomes_of(folder: Path, held_out: HeldOut) -> dict[str, Floats]:
    """Return, by metric, what the checkpoint in ``folder`` gets right of each row.

    ``text_to_image_r5_by_web_text`` is whether a row's image is among the first 5 for its text. ``hard_negative_long``
    is whether it fits long_positive better than long_negative; ``..._on_other_images``, on what share of the other
    images that is so as well, where it cannot be for what is seen.
    """
    model, tokenizer = load_clip(folder)
    image = embed_images(model, torch.split(held_out.images, _BATCH))

    def embedded(column: str) -> Tensor:
        return embed_texts(model, tokenizer, held_out.texts(column))

    found: dict[str, Tensor] = {}
    for query in QUERIES:
        similarity = embedded(query) @ image.T
        for way, scores in (("text_to_image", similarity), ("image_to_text", similarity.T)):
            found |= {f"{way}_r{k}_by_{query}": hits(scores, k) for k in KS}
    for length in LENGTHS:
        true, false = embedded(f"{length}_positive"), embedded(f"{length}_negative")
        name = f"hard_negative_{length}"
        found[name] = hard_negative_outcomes(image, true, false)
        found[f"{name}_on_other_images"] = other_image_outcomes(image, true, false, held_out.images_of_rows)
        found[f"{name}_ties"] = (true == false).all(dim=1).double()
    return {metric: outcomes.double().numpy() for metric, outcomes in found.items()}


def hits(scores: Tensor, k: int) -> Tensor:
    """Return, for each row of ``scores``, how likely its own column is among the best ``k``, ties in random order.

    >>> hits(torch.tensor([[0.9, 0.1, 0.1], [0.8, 0.2, 0.2], [0.0, 0.5, 0.4]]), 2).tolist()
    [1.0, 0.5, 1.0]
    """
    own = scores.diagonal()[:, None]
    ahead, level = (scores > own).sum(dim=1), (scores == own).sum(dim=1)
    return ((k - ahead) / level).clamp(0, 1)


def blind_control(lake: str, release: Release) -> dict[str, Any]:
    """Return how often a reader without the image tells a negative from its own positive, over all rows of ``release``.

    It is the audit's reader of words and pairs of words, who has seen neither of the two texts but others like them.
    """
    rows = [row for split in ("train", "held_out") for row in _texts(lake, release, split)]
    return {length: _blind(rows, length) for length in LENGTHS}


def _blind(rows: Sequence[Mapping[str, Any]], length: str) -> dict[str, Any] | None:
    true, false = ([one_text(row[f"{length}_{side}"]) for row in rows] for side in ("positive", "negative"))
    found = blind_test(true, false, [row["sample_id"] for row in rows], giveaways=0)
    return None if found is None else {"accuracy": round(found.paired, 4), "auc": round(found.auc, 4), "n": found.n}
