"""The losses against sums done by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.losses import contrastive, hard_negative_identification, short_tag_classification, sigmoid, triplet

SCALE = torch.tensor(2.0)
IMAGE = torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 4.0]])
TEXT = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 5.0]])


def _features(rows: int, seed: int) -> torch.Tensor:
    return torch.randn(rows, 8, generator=torch.Generator().manual_seed(seed))


def test_contrastive_equals_three_rows_done_by_hand() -> None:
    cosine = [[1.0, 0.6, 0.0], [0.0, 0.8, 1.0], [0.6, 1.0, 0.8]]
    rows = [math.log(sum(math.exp(2 * c) for c in row)) - 2 * row[i] for i, row in enumerate(cosine)]
    columns = [math.log(sum(math.exp(2 * row[i]) for row in cosine)) - 2 * cosine[i][i] for i in range(3)]
    by_hand = (sum(rows) + sum(columns)) / 6
    assert contrastive(IMAGE, TEXT, SCALE).item() == pytest.approx(by_hand, abs=1e-6)


def test_contrastive_takes_the_logarithm_of_the_batch_where_nothing_is_told_apart() -> None:
    same = torch.ones(7, 4)
    assert contrastive(same, same, SCALE).item() == pytest.approx(math.log(7), abs=1e-6)


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(0, 100), st.sampled_from([0.0, 0.1]))
def test_the_mean_over_shares_of_gathered_features_is_the_whole(rows: int, seed: int, smoothing: float) -> None:
    image, text = _features(2 * rows, seed), _features(2 * rows, seed + 1)
    shares = [
        contrastive(
            image[at : at + rows],
            text[at : at + rows],
            SCALE,
            all_image=image,
            all_text=text,
            first=at,
            smoothing=smoothing,
        )
        for at in (0, rows)
    ]
    whole = contrastive(image, text, SCALE, smoothing=smoothing)
    assert torch.stack(shares).mean().item() == pytest.approx(whole.item(), abs=1e-5)


def test_the_length_of_features_does_not_matter() -> None:
    assert contrastive(IMAGE * 9, TEXT * 0.1, SCALE).item() == pytest.approx(contrastive(IMAGE, TEXT, SCALE).item())


def test_a_negative_that_equals_the_text_costs_log_two() -> None:
    loss = hard_negative_identification(IMAGE, TEXT, TEXT, SCALE)
    assert loss.item() == pytest.approx(math.log(2))


def test_hard_negative_identification_equals_two_rows_done_by_hand() -> None:
    negative = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    true, false = [2 * 1.0, 2 * 0.8], [0.0, 0.0]
    by_hand = sum(-math.log(math.exp(t) / (math.exp(t) + math.exp(f))) for t, f in zip(true, false, strict=True)) / 2
    loss = hard_negative_identification(IMAGE[:2], TEXT[:2], negative, SCALE)
    assert loss.item() == pytest.approx(by_hand, abs=1e-6)


def test_masked_rows_have_no_gradient() -> None:
    image, text, negative = (_features(4, seed).requires_grad_() for seed in range(3))
    mask = torch.tensor([True, False, True, False])
    loss = hard_negative_identification(image, text, negative, SCALE, mask)
    for gradient in torch.autograd.grad(loss, (image, text, negative)):
        assert (gradient[~mask] == 0).all()
        assert (gradient[mask] != 0).any()


def test_what_stands_in_a_masked_row_does_not_reach_the_loss() -> None:
    image, text, negative = _features(3, 0), _features(3, 1), _features(3, 2)
    mask = torch.tensor([True, True, False])
    loss = hard_negative_identification(image, text, negative, SCALE, mask)
    negative[2] = float("nan")
    assert hard_negative_identification(image, text, negative, SCALE, mask).item() == loss.item()


def test_no_negative_at_all_costs_nothing() -> None:
    image = _features(2, 0).requires_grad_()
    loss = hard_negative_identification(
        image, _features(2, 1), _features(2, 2), SCALE, torch.zeros(2, dtype=torch.bool)
    )
    assert loss.item() == 0
    assert (torch.autograd.grad(loss, image)[0] == 0).all()


def test_short_tag_classification_equals_the_sum_done_by_hand() -> None:
    logits = torch.tensor([[1.0, -2.0, 0.0], [0.5, 0.0, 3.0]])
    tags = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    by_hand = sum(
        -math.log(1 / (1 + math.exp(-x if y else x)))
        for row, wanted in zip(logits.tolist(), tags.tolist(), strict=True)
        for x, y in zip(row, wanted, strict=True)
    )
    assert short_tag_classification(logits, tags).item() == pytest.approx(by_hand / 2, abs=1e-6)


def test_a_row_without_tags_is_left_out_of_the_classification() -> None:
    logits = _features(3, 0).requires_grad_()
    tags = torch.zeros(3, 8)
    tags[0, 1] = tags[2, 5] = 1
    (gradient,) = torch.autograd.grad(short_tag_classification(logits, tags), logits)
    assert (gradient[1] == 0).all()
    assert short_tag_classification(logits, torch.zeros(3, 8)).item() == 0


def test_negclip_equals_three_rows_done_by_hand() -> None:
    """Two false texts are two columns more for each image, and nothing for the texts."""
    negative = torch.tensor([[0.0, -1.0], [-2.0, 0.0]])
    cosine = [[1.0, 0.6, 0.0], [0.0, 0.8, 1.0], [0.6, 1.0, 0.8]]
    false = [[0.0, -1.0], [-1.0, 0.0], [-0.8, -0.6]]
    rows = [
        math.log(sum(math.exp(2 * c) for c in [*row, *more])) - 2 * row[i]
        for i, (row, more) in enumerate(zip(cosine, false, strict=True))
    ]
    columns = [math.log(sum(math.exp(2 * row[i]) for row in cosine)) - 2 * cosine[i][i] for i in range(3)]
    by_hand = (sum(rows) + sum(columns)) / 6
    assert contrastive(IMAGE, TEXT, SCALE, all_negative=negative).item() == pytest.approx(by_hand, abs=1e-6)


def test_no_false_text_leaves_the_contrastive_loss() -> None:
    nothing = contrastive(IMAGE, TEXT, SCALE, all_negative=torch.empty(0, 2))
    assert nothing.item() == contrastive(IMAGE, TEXT, SCALE).item()


BIAS = torch.tensor(-1.0)


def test_the_sigmoid_loss_equals_three_rows_done_by_hand() -> None:
    cosine = [[1.0, 0.6, 0.0], [0.0, 0.8, 1.0], [0.6, 1.0, 0.8]]
    signed = [(1 if i == j else -1) * (2 * c - 1) for i, row in enumerate(cosine) for j, c in enumerate(row)]
    by_hand = sum(math.log(1 + math.exp(-x)) for x in signed) / 3
    assert sigmoid(IMAGE, TEXT, SCALE, BIAS).item() == pytest.approx(by_hand, abs=1e-6)


def test_false_texts_are_pairs_of_no_image() -> None:
    negative = torch.tensor([[0.0, -1.0], [-2.0, 0.0]])
    false = [[0.0, -1.0], [-1.0, 0.0], [-0.8, -0.6]]
    more = sum(math.log(1 + math.exp(2 * c - 1)) for row in false for c in row) / 3
    plain = sigmoid(IMAGE, TEXT, SCALE, BIAS).item()
    assert sigmoid(IMAGE, TEXT, SCALE, BIAS, all_negative=negative).item() == pytest.approx(plain + more, abs=1e-6)
    assert sigmoid(IMAGE, TEXT, SCALE, BIAS, all_negative=torch.empty(0, 2)).item() == plain


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(0, 100))
def test_the_mean_over_shares_of_images_is_the_whole_sigmoid_loss(rows: int, seed: int) -> None:
    image, text = _features(2 * rows, seed), _features(2 * rows, seed + 1)
    shares = [
        sigmoid(image[at : at + rows], text[at : at + rows], SCALE, BIAS, all_text=text, first=at) for at in (0, rows)
    ]
    whole = sigmoid(image, text, SCALE, BIAS)
    assert torch.stack(shares).mean().item() == pytest.approx(whole.item(), abs=1e-5)


def test_triplets_are_two_pairs_that_deny_each_other() -> None:
    image, negative = _features(3, 1)[:, :2], _features(3, 2)[:, :2]
    by_hand = contrastive(IMAGE, TEXT, SCALE, all_negative=negative) + contrastive(
        image, negative, SCALE, all_negative=TEXT
    )
    assert triplet(IMAGE, TEXT, image, negative, SCALE).item() == pytest.approx(by_hand.item())
    # Where what was edited cannot be told apart, each of six texts is as likely.
    same = torch.ones(3, 2)
    assert triplet(same, same, same, same, SCALE).item() == pytest.approx(math.log(6) + math.log(3), abs=1e-6)
