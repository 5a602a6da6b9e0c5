"""Classes as the mean of their prompts, and Winoground's three scores."""

from collections.abc import Sequence

import pytest
import torch
from torch.nn import functional as F

from tests.udfs.clip.tiny import TINY
from udfs.clip.encoder import Encoder
from udfs.clip.figures import lines_of
from udfs.clip.model import small_clip
from udfs.clip.suites import class_metrics, winoground_metrics
from udfs.clip.tokenizer import train_tokenizer
from udfs.clip.winoground import winoground_scores
from udfs.clip.zero_shot import class_features

TOKENIZER = train_tokenizer(["a photo of a red kite", "a boat"] * 3, vocab_size=300, max_tokens=TINY.max_tokens)


def test_a_class_is_the_mean_of_its_prompts() -> None:
    known = {"a kite": [1.0, 0.0], "the kite": [0.0, 1.0], "a boat": [1.0, 0.0], "the boat": [1.0, 0.0]}

    def embed(texts: Sequence[str]) -> torch.Tensor:
        return torch.tensor([known[text] for text in texts])

    found = class_features(embed, ["kite", "boat"], ["a {}", "the {c}"])
    assert torch.allclose(found, F.normalize(torch.tensor([[1.0, 1.0], [2.0, 0.0]]), dim=-1))


def test_one_template_is_the_text_itself() -> None:
    encoder = Encoder(small_clip(TOKENIZER, TINY).eval(), TOKENIZER)
    found = class_features(encoder.texts, ["kite", "boat"], ["a {}"])
    assert torch.allclose(found, encoder.texts(["a kite", "a boat"]), atol=1e-6)


def test_every_class_weighs_the_same_in_the_mean() -> None:
    classes = torch.eye(6)
    image = classes[[0, 0, 0, 1]]
    found = {one.metric: one.value for one in class_metrics(image, classes, [0, 0, 0, 2])}
    assert found == {"top1": 0.75, "top5": pytest.approx(0.95), "mean_per_class_recall": 0.5}


def test_winoground_tells_texts_from_images() -> None:
    first, second = torch.tensor([1.0, 0.0]), torch.tensor([0.8, 0.6])
    right = torch.stack([first, second])
    crossed = torch.stack([torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0])])
    scores = winoground_scores(torch.stack([right, right, right]), torch.stack([right, right.flip(0), crossed]))
    assert scores.group.tolist() == [True, False, False]
    assert scores.text.tolist() == [True, False, False]
    assert scores.image.tolist() == [True, False, False]


def test_an_image_score_needs_no_text_score() -> None:
    # Each image prefers its own text, but both texts prefer image 1.
    images, texts = torch.eye(2)[None], torch.tensor([[[0.3, 0.5], [0.2, 0.9]]])
    scores = winoground_scores(images, texts)
    assert (scores.text.item(), scores.image.item(), scores.group.item()) == (True, False, False)
    scores = winoground_scores(texts, images)
    assert (scores.text.item(), scores.image.item(), scores.group.item()) == (False, True, False)


def test_a_tie_is_not_right_in_winoground() -> None:
    same = torch.ones(3, 2, 4)
    assert [one.value for one in winoground_metrics(same, same)] == [0, 0, 0]


def test_random_features_do_as_well_as_chance_in_winoground() -> None:
    draws = torch.Generator().manual_seed(0)
    images, texts = (torch.randn(6000, 2, 8, generator=draws) for _ in range(2))
    for one, chance in zip(winoground_metrics(images, texts), (1 / 4, 1 / 4, 1 / 6), strict=True):
        assert (one.low or 0) < chance < (one.high or 0)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="expected"):
        winoground_scores(torch.ones(3, 2, 4), torch.ones(3, 3, 4))


def test_figures_are_told_with_their_bounds() -> None:
    lines = list(lines_of("shapes", class_metrics(torch.eye(2), torch.eye(2), [0, 1])))
    assert lines[:2] == ["shapes:", "  top1                   100.0 %   34.2 to 100.0  of 2"]
