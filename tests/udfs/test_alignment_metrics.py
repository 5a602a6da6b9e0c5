"""The figures of RECAP's evaluation, against what they are by hand."""

import math

import pyarrow as pa
import pytest

from lakehouse.errors import BadInput
from udfs.alignment_metrics import DETECTIONS, counting_error, object_accuracy, positional_alignment


def found(*rows: tuple[str, str, float]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(DETECTIONS.names, row, strict=True)) for row in rows], schema=DETECTIONS)


def captioned(*rows: tuple[str, str]) -> pa.Table:
    return pa.table({"image": [image for image, _ in rows], "label": [label for _, label in rows]})


def counted(*rows: tuple[str, str, int]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(("image", "label", "count"), row, strict=True)) for row in rows])


def scored(*rows: tuple[str, float, float]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(("word", "caption", "false_caption"), row, strict=True)) for row in rows])


def test_object_accuracy_is_the_mean_over_classes_or_over_images() -> None:
    names = captioned(("1", "dog"), ("2", "dog"), ("3", "dog"), ("4", "dog"), ("4", "cat"))
    accuracy = object_accuracy(names, found(("1", "dog", 0.9), ("1", "dog", 0.8), ("2", "cat", 0.9), ("4", "cat", 0.7)))
    assert accuracy.per_class == {"cat": 1.0, "dog": 0.25}
    assert (accuracy.by_class, accuracy.by_image) == (0.625, 0.4)


def test_a_detection_counts_from_the_confidence_on() -> None:
    names = captioned(("1", "dog"), ("2", "dog"))
    accuracy = object_accuracy(names, found(("1", "dog", 0.5), ("2", "dog", 0.4999)))
    assert accuracy.by_image == 0.5
    assert object_accuracy(names, found(("2", "dog", 0.4999)), min_confidence=0.4).by_image == 0.5


def test_a_caption_that_names_a_thing_twice_counts_once() -> None:
    names = captioned(("1", "dog"), ("1", "dog"), ("2", "dog"))
    assert object_accuracy(names, found(("1", "dog", 0.9))).by_image == 0.5


def test_a_thing_in_another_image_is_not_found() -> None:
    assert object_accuracy(captioned(("1", "dog")), found(("2", "dog", 0.9))).by_image == 0.0


def test_the_counting_error_is_rooted_within_an_image_before_the_mean() -> None:
    says = counted(("1", "dog", 2), ("1", "cat", 3), ("2", "dog", 1))
    sees = found(*[("1", "dog", 0.9)] * 5, ("1", "bird", 0.9), ("2", "dog", 0.9), ("2", "dog", 0.2))
    # Image 1: 5 - 2 and, as no cat was found, 0 - 3: the root of (9 + 9) / 2. Image 2: exactly one sure dog.
    assert counting_error(says, sees) == pytest.approx((3.0 + 0.0) / 2)


def test_an_image_without_detections_has_the_root_mean_square_of_its_counts() -> None:
    assert counting_error(counted(("1", "dog", 1), ("1", "cat", 2)), found()) == pytest.approx(math.sqrt(2.5))


def test_positional_alignment_is_the_mean_over_words_of_clear_preferences() -> None:
    sure = math.log(0.61 / 0.39)
    unsure = math.log(0.59 / 0.41)
    rows = scored(("above", sure, 0.0), ("above", unsure, 0.0), ("above", -5.0, 5.0), ("left", 25.0, 20.0))
    alignment = positional_alignment(rows)
    assert alignment.per_word == {"above": pytest.approx(1 / 3), "left": 1.0}
    assert alignment.score == pytest.approx(2 / 3)


def test_a_preference_at_the_threshold_is_no_success() -> None:
    assert positional_alignment(scored(("above", 1.0, 1.0)), min_preference=0.5).score == 0.0


def test_large_logits_do_not_overflow() -> None:
    assert positional_alignment(scored(("above", 1e6, -1e6), ("above", -1e6, 1e6))).score == 0.5


def test_a_figure_of_nothing_is_refused() -> None:
    for figure in (
        lambda: object_accuracy(captioned(), found()),
        lambda: positional_alignment(scored(("a", 1, 0))[:0]),
    ):
        with pytest.raises(BadInput, match="empty table"):
            figure()
