"""Hard negatives whose answers are known."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from udfs.clip.hard_negatives import hard_negative_accuracy, hard_negative_outcomes, other_image_outcomes


def features(rows: int, seed: int) -> torch.Tensor:
    return F.normalize(torch.randn(rows, 6, generator=torch.Generator().manual_seed(seed)), dim=-1)


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(0, 99))
def test_true_exchanged_with_false_gives_the_rest(rows: int, seed: int) -> None:
    image, true, false = (features(rows, 3 * seed + part) for part in range(3))
    found = hard_negative_outcomes(image, true, false) + hard_negative_outcomes(image, false, true)
    assert found.tolist() == [1.0] * rows


def test_an_image_that_is_its_text_is_always_right() -> None:
    image = features(9, 0)
    assert hard_negative_accuracy(image, image, features(9, 1)) == 1
    assert hard_negative_accuracy(image, -image, features(9, 1)) == 0


def test_a_model_that_says_the_same_of_everything_is_half_right() -> None:
    text = features(1, 1).expand(5, -1)
    assert hard_negative_accuracy(features(5, 0), text, text) == 0.5


def test_what_is_no_number_is_a_failure() -> None:
    image = features(2, 0)
    broken = image.clone()
    broken[0] = torch.nan
    assert hard_negative_outcomes(image, broken, -image).tolist() == [0, 1]
    assert hard_negative_outcomes(image, image, torch.full_like(image, torch.nan)).tolist() == [0, 0]


def test_texts_that_give_themselves_away_are_told_by_any_image() -> None:
    images = F.normalize(torch.rand(5, 6, generator=torch.Generator().manual_seed(0)), dim=-1)
    likely = torch.full((5, 6), 6**-0.5)
    assert other_image_outcomes(images, likely, -likely, list("abcde")).tolist() == [1] * 5


def test_another_image_knows_nothing_of_a_fair_suite() -> None:
    """Each image is its own direction; a true text is its image, the false one is the opposite."""
    image = torch.eye(6)
    assert hard_negative_accuracy(image, image, -image) == 1
    assert other_image_outcomes(image, image, -image, range(6)).tolist() == [0.5] * 6


def test_an_image_does_not_speak_on_its_own_rows() -> None:
    image, true, false = features(40, 1), features(40, 2), features(40, 3)
    names = [row % 7 for row in range(40)]
    image = image[names]
    found = other_image_outcomes(image, true, false, names)
    for row in (0, 13, 39):
        others = [place for place in range(7) if place != names[row]]
        wins = [float(image[place] @ true[row] > image[place] @ false[row]) for place in others]
        assert found[row].item() == pytest.approx(sum(wins) / 6)


def test_a_single_image_has_no_others() -> None:
    assert other_image_outcomes(features(1, 0), features(1, 1), features(1, 2), ["a"]).isnan().all()


def test_texts_that_are_too_few_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shapes \(3, 6\), \(3, 6\), \(2, 6\)"):
        hard_negative_outcomes(features(3, 0), features(3, 1), features(2, 2))
