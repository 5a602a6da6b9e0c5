"""The model, its folder on disk, and what transformers makes of that folder."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPModel, CLIPProcessor, SiglipModel, SiglipProcessor

from lakehouse.errors import BadInput
from lakehouse.losses import sigmoid
from tests.udfs.clip.tiny import TINY, TINY_SIGLIP
from udfs.clip.model import Sizes, load_clip, save_clip, small_clip
from udfs.clip.tokenizer import read_tokenizer, token_ids, train_tokenizer, write_tokenizer

TEXTS = ["a red kite", "a blue kite over the beach", "two green apples"]
TOKENIZER = train_tokenizer(TEXTS * 3, vocab_size=300, max_tokens=TINY.max_tokens)
IMAGES = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_the_same_seed_makes_the_same_weights() -> None:
    one, other = small_clip(TOKENIZER, TINY, seed=3), small_clip(TOKENIZER, TINY, seed=3)
    assert all(a.equal(b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_making_a_model_leaves_the_global_generator_alone() -> None:
    state = torch.get_rng_state()
    small_clip(TOKENIZER, TINY, seed=3)
    assert torch.get_rng_state().equal(state)


def test_the_temperature_starts_where_it_should() -> None:
    assert small_clip(TOKENIZER, TINY).logit_scale.item() == pytest.approx(1 / 0.07)


@torch.inference_mode()
def test_features_are_those_of_the_plain_clip_model() -> None:
    model = small_clip(TOKENIZER, TINY).eval()
    ids = token_ids(TOKENIZER, TEXTS)
    pixels = (IMAGES / 255 - torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)) / torch.tensor(
        [0.26862954, 0.26130258, 0.27577711]
    ).view(3, 1, 1)
    out = model.clip(input_ids=ids, pixel_values=pixels, attention_mask=(ids != TOKENIZER.pad_token_id).long())
    ours = torch.nn.functional.normalize(model.image_features(IMAGES), dim=-1)
    assert torch.allclose(ours, out.image_embeds, atol=1e-5)
    theirs = torch.nn.functional.normalize(model.text_features(ids), dim=-1)
    assert torch.allclose(theirs, out.text_embeds, atol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("sizes", [TINY, TINY_SIGLIP])
def test_what_is_loaded_computes_what_was_saved(sizes: Sizes, tmp_path: Path) -> None:
    model = small_clip(TOKENIZER, sizes, tag_count=5).eval()
    save_clip(tmp_path, model, TOKENIZER)
    again, tokenizer = load_clip(tmp_path)
    ids = token_ids(tokenizer, TEXTS)
    assert ids.equal(token_ids(TOKENIZER, TEXTS))
    assert again.image_features(IMAGES).equal(model.image_features(IMAGES))
    assert again.text_features(ids).equal(model.text_features(ids))
    assert model.tag_head is not None
    assert again.tag_head is not None
    assert again.tag_head.weight.equal(model.tag_head.weight)
    assert (again.image_size, again.feature_width) == (16, sizes.feature_width)
    assert again.look == model.look


@torch.inference_mode()
def test_transformers_loads_the_folder_with_its_processor(tmp_path: Path) -> None:
    model = small_clip(TOKENIZER, TINY).eval()
    save_clip(tmp_path, model, TOKENIZER)
    pictures = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in IMAGES]
    inputs = CLIPProcessor.from_pretrained(tmp_path)(text=TEXTS, images=pictures, return_tensors="pt", padding=True)
    out = CLIPModel.from_pretrained(tmp_path)(**inputs)
    ours = torch.nn.functional.normalize(model.image_features(IMAGES), dim=-1)
    assert np.allclose(out.image_embeds, ours, atol=1e-4)
    assert math.isfinite(out.logits_per_text.sum().item())


@torch.inference_mode()
def test_transformers_finds_the_same_loss_in_the_folder_of_a_siglip(tmp_path: Path) -> None:
    tokenizer = read_tokenizer(write_tokenizer(TOKENIZER), max_tokens=TINY.max_tokens, masks_padding=False)
    model = small_clip(tokenizer, TINY_SIGLIP).eval()
    save_clip(tmp_path, model, tokenizer)
    pictures = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in IMAGES]
    processor = SiglipProcessor.from_pretrained(tmp_path)
    inputs = processor(text=TEXTS, images=pictures, return_tensors="pt", padding="max_length")
    out = SiglipModel.from_pretrained(tmp_path)(**inputs, return_loss=True)
    image, text, _, scale, bias = model(IMAGES, token_ids(tokenizer, TEXTS))
    assert torch.allclose(out.image_embeds, torch.nn.functional.normalize(image, dim=-1), atol=1e-4)
    assert torch.allclose(out.text_embeds, torch.nn.functional.normalize(text, dim=-1), atol=1e-5)
    assert (scale.item(), bias.item()) == (pytest.approx(10), -10)
    assert sigmoid(image, text, scale, bias).item() == pytest.approx(out.loss.item(), rel=1e-4)


def test_a_tag_head_of_an_earlier_model_does_not_stay(tmp_path: Path) -> None:
    save_clip(tmp_path, small_clip(TOKENIZER, TINY, tag_count=5), TOKENIZER)
    save_clip(tmp_path, small_clip(TOKENIZER, TINY), TOKENIZER)
    assert load_clip(tmp_path)[0].tag_head is None


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="expected a folder with config"):
        load_clip(tmp_path / "nothing")
