"""What is among the first k, where candidates tie, and where a query has several of its own."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from udfs.audit import Metric
from udfs.clip.caption_retrieval import image_to_text_outcomes, text_to_image_outcomes
from udfs.clip.ranking import found_within
from udfs.clip.retrieval import recall_at
from udfs.clip.suites import caption_metrics, class_metrics, recall_metrics
from udfs.clip.zero_shot import class_outcomes

ROW = st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=5).filter(
    lambda row: any(own for _, own in row)
)


@settings(deadline=None)
@given(ROW, st.integers(1, 6))
def test_ties_are_what_all_orders_come_to_on_average(row: list[tuple[int, bool]], k: int) -> None:
    orders = [order for order in itertools.permutations(range(len(row))) if is_sorted([row[at][0] for at in order])]
    hits = [any(row[at][1] for at in order[:k]) for order in orders]
    scores, own = torch.tensor([[float(score) for score, _ in row]]), torch.tensor([[own for _, own in row]])
    assert found_within(scores, own, (k,)).item() == pytest.approx(sum(hits) / len(orders))


def is_sorted(scores: list[int]) -> bool:
    return scores == sorted(scores, reverse=True)


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(0, 30))
def test_pairs_give_what_recall_gives(rows: int, seed: int) -> None:
    draws = torch.Generator().manual_seed(seed)
    similarity = torch.randint(0, 4, (rows, rows), generator=draws) / 4
    found = {one.metric: one.value for one in recall_metrics(similarity)}
    assert found == pytest.approx(recall_at(similarity), abs=1e-6)


def test_any_caption_of_an_image_is_a_hit() -> None:
    image = torch.eye(3)
    text = torch.tensor([[0.0, 0.9, 0.0], [1.0, 0.0, 0.0], [0.0, 0.8, 0.0], [0.0, 0.0, 1.0]])
    owner = [0, 0, 1, 2]
    # Of image 1 the text of image 0 comes first, its own second.
    assert image_to_text_outcomes(image, text, owner, (1, 2)).tolist() == [[1, 0, 1], [1, 1, 1]]
    assert text_to_image_outcomes(image, text, owner, (1, 3)).tolist() == [[0, 1, 1, 1], [1, 1, 1, 1]]


def test_one_caption_an_image_is_retrieval_of_pairs() -> None:
    draws = torch.Generator().manual_seed(1)
    image, text = (torch.randn(700, 4, generator=draws) for _ in range(2))
    found = {one.metric: one.value for one in caption_metrics(image, text, range(700))}
    assert found == pytest.approx(recall_at(text @ image.T), abs=1e-3), "in chunks the last bit of a score may differ"


def test_captions_of_one_image_widen_the_interval_together() -> None:
    draws = torch.Generator().manual_seed(1)
    image = torch.randn(60, 3, generator=draws)
    once = caption_metrics(image, image + torch.randn(60, 3, generator=draws), range(60))[0]
    text = (image + torch.randn(60, 3, generator=torch.Generator().manual_seed(9))).repeat_interleave(5, dim=0)
    five = caption_metrics(image, text, [row // 5 for row in range(300)])[0]
    assert five.n == 5 * once.n
    assert (five.high or 0) - (five.low or 0) > 0.15, "of 300 independent captions it would be narrower"


def test_pairs_copied_five_times_do_not_narrow_the_interval() -> None:
    similarity = torch.rand(40, 40, generator=torch.Generator().manual_seed(1)) + torch.eye(40) / 3
    copied = similarity.repeat_interleave(5, dim=0).repeat_interleave(5, dim=1)
    once = {one.metric: one for one in recall_metrics(similarity)}
    five = {one.metric: one for one in recall_metrics(copied, images=[row // 5 for row in range(200)])}
    for way in ("text_to_image", "image_to_text"):
        first, among_copies = once[f"{way}_r1"], five[f"{way}_r5"]  # the first five are copies of the first
        assert 0 < first.value < 1
        assert bounds_of(among_copies) == pytest.approx(bounds_of(first))
        assert among_copies.n == 5 * first.n


def test_images_copied_five_times_do_not_narrow_the_intervals_of_classes() -> None:
    draws = torch.Generator().manual_seed(1)
    image, classes = torch.randn(40, 4, generator=draws), torch.randn(6, 4, generator=draws)
    labels = [row % 6 for row in range(40)]
    once = class_metrics(image, classes, labels)
    copied, own = image.repeat_interleave(5, dim=0), [label for label in labels for _ in range(5)]
    five = class_metrics(copied, classes, own, images=[row // 5 for row in range(200)])
    assert [bounds_of(one) for one in five] == [pytest.approx(bounds_of(one)) for one in once]


def bounds_of(one: Metric) -> tuple[float | None, ...]:
    return one.value, one.low, one.high


def test_an_image_without_a_caption_is_refused() -> None:
    with pytest.raises(ValueError, match="1 of 2 images have no caption"):
        image_to_text_outcomes(torch.eye(2), torch.eye(2), [0, 0], (1,))


def test_a_class_is_found_where_it_is_nearest() -> None:
    image, classes = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.9, 0.1], [0.1, 0.9], [0.5, 0.5]])
    assert class_outcomes(image, classes, [0, 2], (1, 2)).tolist() == [[1, 0], [1, 1]]
