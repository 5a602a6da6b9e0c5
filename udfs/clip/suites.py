"""What a checkpoint comes to on a suite: features in, metrics with their intervals out."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Final

from torch import Tensor

from udfs.audit import Metric
from udfs.blind_test import told_apart
from udfs.clip.caption_retrieval import image_to_text_outcomes, text_to_image_outcomes
from udfs.clip.encoder import Features
from udfs.clip.hard_negatives import hard_negative_outcomes, other_image_outcomes
from udfs.clip.intervals import Interval, class_mean, interval
from udfs.clip.retrieval import pair_outcomes
from udfs.clip.suite_files import HardNegative
from udfs.clip.winoground import winoground_scores
from udfs.clip.zero_shot import class_outcomes
from udfs.words import words_of

KS: Final = (1, 5, 10)
OVERALL: Final = "overall"


def recall_metrics(similarity: Tensor, *, images: Sequence[Hashable] | None = None) -> tuple[Metric, ...]:
    """Return recall at 1, 5 and 10 both ways among pairs: ``similarity`` is (texts, images), text i is of image i.

    ``images`` names the image of each pair where several pairs may share one, as in ``interval``.
    """
    outcomes = pair_outcomes(similarity, KS)
    return tuple(metric(name, interval(row.numpy(), images=images), len(row)) for name, row in outcomes.items())


def caption_metrics(image: Tensor, text: Tensor, owner: Sequence[int]) -> tuple[Metric, ...]:
    """Return recall at 1, 5 and 10 both ways; text i belongs to image ``owner[i]``, and every image has one or more."""
    found = {
        "text_to_image": (text_to_image_outcomes(image, text, owner, KS), owner),
        "image_to_text": (image_to_text_outcomes(image, text, owner, KS), None),
    }
    return tuple(
        metric(f"{way}_r{k}", interval(row.numpy(), images=images), len(row))
        for way, (outcomes, images) in found.items()
        for k, row in zip(KS, outcomes, strict=True)
    )


def class_metrics(
    image: Tensor, classes: Tensor, labels: Sequence[int], *, images: Sequence[Hashable] | None = None
) -> tuple[Metric, ...]:
    """Return top-1, top-5 where there are more than five classes, and the mean over classes of their top-1.

    ``images`` names the image of each row of ``image`` where several rows may be of one, as in ``interval``.
    """
    ks = tuple(k for k in (1, 5) if k < len(classes))
    outcomes = class_outcomes(image, classes, labels, ks)
    top = [
        metric(f"top{k}", interval(row.numpy(), images=images), len(row)) for k, row in zip(ks, outcomes, strict=True)
    ]
    mean = class_mean(outcomes[0].numpy(), labels, images=images)
    return (*top, metric("mean_per_class_recall", mean, len(labels)))


def hard_negative_metrics(
    kinds: Mapping[str, Sequence[HardNegative]], image: Features, text: Features
) -> tuple[Metric, ...]:
    """Return, for each kind and for all rows together, the accuracy and three controls that do not see the image.

    ``image`` has features by name, ``text`` by text. Each of these is a share of rows, 0.5 by chance:

    - hard_negative: the image is nearer to its true text
    - other_images: another image of the suite is, so that the model tells the texts apart by themselves
    - blind_words: a classifier that reads words alone, trained on the other rows, finds the false text; no figure below
      40 rows
    - blind_length: the true text is the shorter one, in words; far from 0.5 to *either* side, length gives it away
    """
    outcomes = {kind: _controls(rows, image, text) for kind, rows in kinds.items() if rows}
    rows = [row for own in kinds.values() for row in own]
    if len(outcomes) > 1:
        outcomes[OVERALL] = _controls(rows, image, text)
    return tuple(
        metric(f"{name}_{kind}", interval(values, images=images), len(values))
        for kind, (images, own) in outcomes.items()
        for name, values in own.items()
    )


def _controls(
    rows: Sequence[HardNegative], image: Features, text: Features
) -> tuple[list[str], dict[str, Sequence[float]]]:
    images = [row.image for row in rows]
    features = image.of(images), text.of([row.true for row in rows]), text.of([row.false for row in rows])
    found: dict[str, Sequence[float]] = {"hard_negative": hard_negative_outcomes(*features).tolist()}
    if len(set(images)) > 1:
        found["other_images"] = other_image_outcomes(*features, images).tolist()
    words = told_apart([row.true for row in rows], [row.false for row in rows], images)
    if words is not None:
        found["blind_words"] = words
    found["blind_length"] = [_is_shorter(row.true, row.false) for row in rows]
    return images, found


def _is_shorter(true: str, false: str) -> float:
    longer = len(words_of(false)) - len(words_of(true))
    return 0.5 if not longer else float(longer > 0)


def winoground_metrics(images: Tensor, texts: Tensor) -> tuple[Metric, ...]:
    """Return text, image and group score; features are (examples, 2, width)."""
    scores = winoground_scores(images, texts)
    return tuple(
        metric(f"{name}_score", interval(right.double().numpy()), len(right))
        for name, right in scores._asdict().items()
    )


def metric(name: str, found: Interval, n: int) -> Metric:
    """Return the metric ``name`` as ``found``, with ``n`` queries behind it."""
    value, low, high = (round(bound, 6) for bound in found)
    return Metric(name, value, n, low, high)
