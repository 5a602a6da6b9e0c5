"""A model of LLaVA's kind, of any size, with weights at random: what it says is noise, and the same each time."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How large the two towers are. The defaults make 160 thousand weights."""

    side: int = 28
    patch: int = 14
    image_width: int = 32
    image_layers: int = 2
    image_heads: int = 2
    width: int = 64
    inner_width: int = 128
    layers: int = 2
    heads: int = 2
    vocabulary: int = 320
    dtype: torch.dtype = torch.float32


_TOWER: Final = {"side": 336, "image_width": 1024, "image_layers": 24, "image_heads": 16}
SIZES: Final[Mapping[str, Sizes]] = {
    "tiny": Sizes(),
    "1b": Sizes(**_TOWER, width=2048, inner_width=5632, layers=22, heads=32, vocabulary=32064, dtype=torch.bfloat16),
    "7b": Sizes(**_TOWER, width=4096, inner_width=11008, layers=32, heads=32, vocabulary=32064, dtype=torch.bfloat16),
}
"""TinyLlama's and LLaVA-1.5's shapes behind CLIP's large tower."""
SENTENCES = ("a red bird on a branch", "the old house by the sea", "describe the image in a sentence")
TEMPLATE = """{{ bos_token }}{% for turn in messages %}{{ turn['role'] }}: {% for part in turn['content'] %}\
{{ '<image>' if part['type'] == 'image' else part['text'] }}{% endfor %}
{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"""


def write_llava(
    folder: Path, sizes: Sizes = SIZES["tiny"], *, seed: int = 0, template: str | None = TEMPLATE, ends: int = 40
) -> Path:
    """Write a model with its processor as ``save_pretrained`` does; any of ``ends`` tokens may end an answer."""
    tokenizer = _tokenizer()
    torch.manual_seed(seed)
    with _default(sizes.dtype):
        model = LlavaForConditionalGeneration(_config(tokenizer, sizes)).eval()
    with torch.no_grad():  # as initialised, pictures and texts drown in each other's sameness
        for weights in model.parameters():
            weights.mul_(3 if weights.ndim > 1 else 1)
    model.generation_config.eos_token_id = [1, *range(len(tokenizer) - ends, len(tokenizer))]
    model.save_pretrained(folder)
    side = {"height": sizes.side, "width": sizes.side}
    images = CLIPImageProcessorPil(size={"shortest_edge": sizes.side}, crop_size=side)
    own = {"patch_size": sizes.patch, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}
    LlavaProcessor(images, tokenizer, chat_template=template, **own).save_pretrained(folder)
    return folder


def _tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>", "<pad>", "<image>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        additional_special_tokens=["<image>"],
    )


def _config(tokenizer: PreTrainedTokenizerFast, sizes: Sizes) -> LlavaConfig:
    vision = CLIPVisionConfig(
        hidden_size=sizes.image_width,
        intermediate_size=4 * sizes.image_width,
        num_hidden_layers=sizes.image_layers,
        num_attention_heads=sizes.image_heads,
        image_size=sizes.side,
        patch_size=sizes.patch,
    )
    text = LlamaConfig(
        vocab_size=max(sizes.vocabulary, len(tokenizer)),
        hidden_size=sizes.width,
        intermediate_size=sizes.inner_width,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        max_position_embeddings=4096,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    )
    return LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_select_strategy="default",
        vision_feature_layer=-1,
    )


@contextmanager
def _default(dtype: torch.dtype) -> Iterator[None]:
    """Make weights of ``dtype`` at once: seven billion of them in float32 are 28 GB."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
