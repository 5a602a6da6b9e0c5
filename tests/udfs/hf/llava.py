"""A model of LLaVA's kind with a few thousand weights at random: what it says is noise, and the same each time."""

from pathlib import Path

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

SIDE, PATCH = 28, 14
SENTENCES = ("a red bird on a branch", "the old house by the sea", "describe the image in a sentence")
TEMPLATE = """{{ bos_token }}{% for turn in messages %}{{ turn['role'] }}: {% for part in turn['content'] %}\
{{ '<image>' if part['type'] == 'image' else part['text'] }}{% endfor %}
{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"""


def write_llava(folder: Path, *, seed: int = 0, template: str | None = TEMPLATE, ends: int = 40) -> Path:
    """Write a model with its processor as ``save_pretrained`` does; any of ``ends`` tokens may end an answer."""
    tokenizer = _tokenizer()
    torch.manual_seed(seed)
    model = LlavaForConditionalGeneration(_config(tokenizer)).eval()
    with torch.no_grad():  # as initialised, pictures and texts drown in each other's sameness
        for weights in model.parameters():
            weights.mul_(3 if weights.ndim > 1 else 1)
    model.generation_config.eos_token_id = [1, *range(len(tokenizer) - ends, len(tokenizer))]
    model.save_pretrained(folder)
    images = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    own = {"patch_size": PATCH, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}
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


def _config(tokenizer: PreTrainedTokenizerFast) -> LlavaConfig:
    vision = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=SIDE,
        patch_size=PATCH,
    )
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=1024,
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
