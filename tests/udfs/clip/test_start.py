"""What a training can start from, and the one line about what it cannot."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lakehouse.errors import BadInput
from tests.udfs.clip.tiny import TINY, TINY_SIGLIP
from udfs.clip.families import FAMILIES
from udfs.clip.model import Sizes, begin, load_clip, save_clip, small_clip
from udfs.clip.sizes import SIZES
from udfs.clip.start import find_start
from udfs.clip.tokenizer import token_ids, train_tokenizer

TEXTS = ["a red kite", "a blue kite over the beach"]
TOKENIZER = train_tokenizer(TEXTS * 3, vocab_size=300, max_tokens=TINY.max_tokens)
OTHER = train_tokenizer(
    ["two green apples in a wooden bowl that somebody has painted with yellow flowers"] * 3,
    vocab_size=400,
    max_tokens=TINY.max_tokens,
)
IMAGES = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))

Change = Callable[[Path], object]


def folder_of(path: Path, sizes: Sizes = TINY) -> Path:
    save_clip(path, small_clip(TOKENIZER, sizes, tag_count=3, seed=5), TOKENIZER)
    return path


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


@torch.inference_mode()
@pytest.mark.parametrize("sizes", [TINY, TINY_SIGLIP])
def test_a_folder_with_weights_is_trained_on(sizes: Sizes, tmp_path: Path) -> None:
    start = find_start(str(folder_of(tmp_path / "mine", sizes)), None)
    model = begin(start, TOKENIZER, tag_count=7, seed=0).eval()
    saved, _ = load_clip(tmp_path / "mine")
    assert (start.name, start.image_size, start.has_tokenizer) == ("mine", 16, True)
    assert model.image_features(IMAGES).equal(saved.image_features(IMAGES))
    ids = token_ids(TOKENIZER, TEXTS)
    assert model.text_features(ids).equal(saved.text_features(ids))
    assert model.tag_head is not None
    assert len(model.tag_head.weight) == 7


@pytest.mark.parametrize("sizes", [TINY, TINY_SIGLIP])
def test_a_folder_without_weights_begins_at_random(sizes: Sizes, tmp_path: Path) -> None:
    without_weights(folder_of(tmp_path, sizes))
    start = find_start(str(tmp_path), 16)
    model = begin(start, TOKENIZER, tag_count=0, seed=5)
    assert all(
        a.equal(b) for a, b in zip(model.parameters(), small_clip(TOKENIZER, sizes, seed=5).parameters(), strict=True)
    )


def test_a_configuration_alone_takes_the_vocabulary_of_the_tokenizer_that_is_trained(tmp_path: Path) -> None:
    without_weights(folder_of(tmp_path))
    (tmp_path / "tokenizer.json").unlink()
    start = find_start(str(tmp_path), None)
    assert not start.has_tokenizer
    text = begin(start, OTHER, tag_count=0, seed=0).clip.config.text_config
    assert (text.vocab_size, text.eos_token_id) == (len(OTHER), OTHER.eos_token_id)


def test_the_weights_are_what_a_folder_is_known_by(tmp_path: Path) -> None:
    one = find_start(str(folder_of(tmp_path / "one" / "clip")), None)
    other = find_start(str(shutil.copytree(tmp_path / "one", tmp_path / "two") / "clip"), None)
    assert (one.name, one.revision) == (other.name, other.revision)
    save_clip(tmp_path / "two" / "clip", small_clip(TOKENIZER, TINY, seed=6), TOKENIZER)
    assert find_start(str(tmp_path / "two" / "clip"), None).revision != one.revision


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda folder: edit(folder / "config.json", model_type="bert"),
            "is a model of type 'bert': expected clip or siglip",
        ),
        (
            lambda folder: (folder / "config.json").write_text("what?"),
            r"cannot read .*config.json.*: expected a JSON object",
        ),
        (
            lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
            "weights in other formats can run code, and are not read",
        ),
        (lambda folder: (folder / "tokenizer.json").unlink(), "no tokenizer in .*: expected tokenizer.json"),
        (
            lambda folder: edit(folder / "config.json", vision_config={"image_size": [16, 32]}),
            r"sees images of \[16, 32\] pixels: expected squares",
        ),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"\x00" * 100), "cannot read the weights in"),
        (
            lambda folder: drop(folder, "visual_projection.weight"),
            "1 weights are missing in .*, such as visual_projection",
        ),
        (
            lambda folder: edit(folder / "preprocessor_config.json", crop_size={"height": 32, "width": 32}),
            "makes images of 32 pixels: expected 16, as the model has it",
        ),
        (lambda folder: OTHER.save_pretrained(folder), r"the tokenizer in .* has \d+ tokens, and the model \d+"),
        (
            lambda folder: edit(folder / "tokenizer_config.json", padding_side="left"),
            "does not pad after the end: expected a padding token and padding_side right",
        ),
        (
            lambda folder: edit(folder / "tokenizer_config.json", eos_token="<|startoftext|>"),
            r"ends texts by token \d+, and the model reads token \d+",
        ),
    ],
)
def test_a_folder_that_cannot_be_used_is_named_in_one_line(change: Change, said: str, tmp_path: Path) -> None:
    change(folder_of(tmp_path))
    with pytest.raises(BadInput, match=said) as refused:
        begin(find_start(str(tmp_path), None), load_clip(tmp_path)[1], tag_count=0, seed=0)
    assert "\n" not in str(refused.value)


def drop(folder: Path, name: str) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file(
        {key: value for key, value in weights.items() if key != name}, folder / "model.safetensors", {"format": "pt"}
    )


def test_a_model_that_there_is_not_is_answered_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"unknown model 'ViT-B/32': expected one of small, ViT-B-32, .*, or a folder"):
        find_start("ViT-B/32", None)


def test_images_of_another_size_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"bad --image-size 32: the model in .* sees images of 16 pixels"):
        find_start(str(folder_of(tmp_path)), 32)
    with pytest.raises(BadInput, match="bad --image-size 8: small sees patches of 16 pixels"):
        find_start("small", 8)


def test_scaling_is_the_folders_own(tmp_path: Path) -> None:
    edit(folder_of(tmp_path, TINY_SIGLIP) / "preprocessor_config.json", image_mean=[0.1, 0.2, 0.3])
    model, tokenizer = load_clip(tmp_path)
    save_clip(tmp_path / "again", model, tokenizer)
    for look in (model.look, load_clip(tmp_path / "again")[0].look):
        assert (look.mean, look.std, look.is_cropped) == ((0.1, 0.2, 0.3), (0.5, 0.5, 0.5), False)


def test_siglips_own_tokenizer_class_is_read_without_sentencepiece(tmp_path: Path) -> None:
    edit(folder_of(tmp_path, TINY_SIGLIP) / "tokenizer_config.json", tokenizer_class="SiglipTokenizer")
    assert token_ids(load_clip(tmp_path)[1], TEXTS).equal(token_ids(TOKENIZER, TEXTS))


@pytest.mark.parametrize(
    ("name", "weights"), [("ViT-B-32", 151_277_313), ("ViT-B-16", 149_620_737), ("ViT-L-14", 427_616_513)]
)
def test_named_sizes_have_as_many_weights_as_their_namesakes(name: str, weights: int) -> None:
    """As many as OpenAI's, whose vocabulary is 49,408."""
    config = FAMILIES["clip"].configure(SIZES[name], TOKENIZER)
    config.text_config.vocab_size = 49_408
    with torch.device("meta"):
        assert sum(one.numel() for one in FAMILIES["clip"].model(config).parameters()) == weights


def test_the_named_siglip_has_as_many_weights_as_its_namesake() -> None:
    config = FAMILIES["siglip"].configure(SIZES["ViT-B-16-SigLIP"], TOKENIZER)
    config.text_config.vocab_size = 32_000
    with torch.device("meta"):
        assert sum(one.numel() for one in FAMILIES["siglip"].model(config).parameters()) == 203_155_970
