"""Recall and neighbours of matrices that were made for the purpose."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.udfs.clip.tiny import TINY
from udfs.clip.model import small_clip
from udfs.clip.retrieval import embed_images, embed_texts, nearest, recall_at, recall_ceiling
from udfs.clip.tokenizer import train_tokenizer

TEXTS = ["a red kite", "a kite", "two green apples on a table", "a kite"]
TOKENIZER = train_tokenizer(TEXTS * 3, vocab_size=300, max_tokens=TINY.max_tokens)


def test_recall_counts_ranks_in_both_directions() -> None:
    similarity = torch.tensor([[0.9, 0.1, 0.2], [0.8, 0.5, 0.6], [0.7, 0.4, 0.3]])
    found = recall_at(similarity, ks=(1, 2))
    assert found["text_to_image_r1"] == pytest.approx(1 / 3)
    assert found["text_to_image_r2"] == pytest.approx(1 / 3)
    assert found["image_to_text_r1"] == pytest.approx(2 / 3)
    assert found["image_to_text_r2"] == pytest.approx(1)


def test_a_tie_counts_for_its_share() -> None:
    similarity = torch.tensor([[0.5, 0.5, 0.1], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert recall_at(similarity, ks=(1,))["text_to_image_r1"] == pytest.approx((0.5 + 1 + 1) / 3)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 12))
def test_a_model_that_says_the_same_of_everything_does_as_well_as_chance(rows: int, k: int) -> None:
    found = recall_at(torch.zeros(rows, rows), ks=(k,))
    assert found[f"text_to_image_r{k}"] == pytest.approx(min(1.0, k / rows))


@settings(deadline=None)
@given(st.integers(2, 12), st.integers(0, 50))
def test_recall_equals_a_count_over_sorted_rows(rows: int, seed: int) -> None:
    similarity = torch.rand(rows, rows, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    ranks = [row.argsort(descending=True).tolist().index(i) for i, row in enumerate(similarity)]
    assert recall_at(similarity, ks=(2,))["text_to_image_r2"] == pytest.approx(sum(r < 2 for r in ranks) / rows)


def test_a_score_that_is_no_number_ranks_last() -> None:
    similarity = torch.tensor([[float("nan"), 0.1], [0.0, 1.0]])
    assert recall_at(similarity, ks=(1,))["text_to_image_r1"] == pytest.approx(0.5)


def test_a_matrix_that_is_not_square_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 3\)"):
        recall_at(torch.zeros(2, 3))


def test_the_ceiling_is_what_a_perfect_model_reaches() -> None:
    texts = ["icon"] * 4 + ["kite"]
    perfect = torch.tensor([[float(a == b) for b in texts] for a in texts])
    assert recall_at(perfect, ks=(2,))["text_to_image_r2"] == pytest.approx(recall_ceiling(texts, 2))


def test_the_nearest_come_best_first() -> None:
    assert nearest(torch.tensor([[0.1, 0.9, 0.5]]), 2).tolist() == [[1, 2]]
    assert nearest(torch.tensor([[0.1, 0.9, 0.5]]), 9).tolist() == [[1, 2, 0]]


def test_features_have_unit_length() -> None:
    model = small_clip(TOKENIZER, TINY).eval()
    images = torch.randint(0, 256, (5, 3, 16, 16), dtype=torch.uint8)
    for features in (embed_images(model, torch.split(images, 2)), embed_texts(model, TOKENIZER, TEXTS, batch_size=2)):
        assert torch.allclose(features.norm(dim=-1), torch.ones(len(features)), atol=1e-5)


def test_equal_texts_have_equal_features() -> None:
    features = embed_texts(small_clip(TOKENIZER, TINY).eval(), TOKENIZER, TEXTS, batch_size=2)
    assert features[1].equal(features[3])


def test_nothing_to_embed_gives_no_rows() -> None:
    model = small_clip(TOKENIZER, TINY).eval()
    assert embed_images(model, []).shape == (0, 8)
    assert embed_texts(model, TOKENIZER, []).shape == (0, 8)
