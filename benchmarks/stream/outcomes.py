"""What a checkpoint gets right of each held-out pair, and what a reader without the image does: 0 to 1 a row."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from benchmarks.stream.seeds import Floats
from jobs.subject import QUERY, Subject
from jobs.suites import NEGATIVES
from lakehouse.stream.faults import Quota
from lakehouse.stream.releases import Release
from lakehouse.stream.texts import read_texts
from udfs.audit import LENGTHS
from udfs.blind_test import told_apart
from udfs.clip.hard_negatives import hard_negative_outcomes, other_image_outcomes
from udfs.clip.ranking import found_within
from udfs.words import one_text

QUERIES: Final = (QUERY, "long_positive")
"""Texts that images are searched by: the web's own words, as evaluate_clip does, and the recaptions."""

KS: Final = (1, 5, 10)
_BATCH: Final = 128


def subject_of(lake: str, folder: Path, release: Release) -> Subject:
    """Return the checkpoint in ``folder`` with all pairs that ``release`` holds out."""
    return Subject(lake, folder, release.release, NEGATIVES, release.held_out_rows, _BATCH)


def images_of(subject: Subject) -> list[str]:
    """Return the id of each row's image: one may stand in several rows."""
    return [row["image_id"] for row in subject.held_out.rows]


def outcomes_of(subject: Subject) -> dict[str, Floats]:
    """Return, by metric, what the checkpoint gets right of each row.

    ``text_to_image_r5_by_web_text`` is whether a row's image is among the first 5 for its text. ``hard_negative_long``
    is whether it is nearer to long_positive than to long_negative, ``other_images_long`` what share of the other images
    is, too, and ``ties_long`` whether the model reads the two texts as one, as they differ behind what it reads.
    """
    image, encoder = subject.held_out.features, subject.encoder
    texts = {
        column: encoder.texts([one_text(row[column]) for row in subject.held_out.rows])
        for column in dict.fromkeys((*QUERIES, *NEGATIVES))
    }
    own = torch.eye(len(image), dtype=torch.bool)
    found: dict[str, torch.Tensor] = {}
    for query in QUERIES:
        similarity = texts[query] @ image.T
        for way, scores in (("text_to_image", similarity), ("image_to_text", similarity.T)):
            found |= {f"{way}_r{k}_by_{query}": row for k, row in zip(KS, found_within(scores, own, KS), strict=True)}
    for length in LENGTHS:
        sides = image, texts[f"{length}_positive"], texts[f"{length}_negative"]
        found[f"hard_negative_{length}"] = hard_negative_outcomes(*sides)
        found[f"other_images_{length}"] = other_image_outcomes(*sides, images_of(subject))
        found[f"ties_{length}"] = (sides[1] == sides[2]).all(dim=1).double()
    return {metric: outcomes.numpy() for metric, outcomes in found.items()}


def blind_outcomes(lake: str, release: Release) -> dict[str, tuple[Floats, list[str]]]:
    """Return, by length, whether a reader of words alone tells each held-out negative, and the rows' images.

    It is the audit's reader, which learnt from all other images' texts of the release, those to train on as well.
    """
    rows = [row for split in ("train", "held_out") for row in _texts(lake, release, split)]
    held_out = [row["image_id"] for row in rows[release.train_rows :]]
    return {length: (_told(rows, length)[release.train_rows :], held_out) for length in LENGTHS}


def _texts(lake: str, release: Release, split: str) -> list[dict[str, Any]]:
    most = release.rows_of(split) or 0
    return list(read_texts(lake, release, columns=["image_id", *NEGATIVES], split=split, most=most, quota=Quota(0)))


def _told(rows: list[dict[str, Any]], length: str) -> Floats:
    true, false = ([one_text(row[f"{length}_{side}"]) for row in rows] for side in ("positive", "negative"))
    outcomes = told_apart(true, false, [row["image_id"] for row in rows])
    return np.array([] if outcomes is None else outcomes, np.float64)
