"""A CLIP of transformers in any size, with HQ-CLIP's tag head, and its folder on disk."""

import math
import os
from dataclasses import dataclass
from typing import Final

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoTokenizer, CLIPConfig, CLIPImageProcessor, CLIPModel, PreTrainedTokenizerFast

from lakehouse.errors import BadInput

MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
STD: Final = (0.26862954, 0.26130258, 0.27577711)
"""Mean and spread of R, G, B in [0, 1]: CLIP's own, written into ``preprocessor_config.json``."""

_TAG_HEAD: Final = "tag_head.safetensors"


@dataclass(frozen=True)
class Sizes:
    """How large the two towers are. The defaults train in two minutes on two CPU cores."""

    image_size: int = 64
    patch_size: int = 16
    image_width: int = 128
    image_layers: int = 4
    text_width: int = 128
    text_layers: int = 2
    max_tokens: int = 32
    feature_width: int = 128
    head_width: int = 32
    temperature: float = 0.07
    """Where the learned temperature starts: CLIP's own value."""


class TaggedClip(nn.Module):
    """A ``CLIPModel`` with a linear head on its image features that names tags.

    Features are before scaling to unit length. ``tag_head`` is None for a model that was trained without tags.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, clip: CLIPModel, tag_head: nn.Linear | None = None) -> None:
        super().__init__()
        self.clip = clip
        self.tag_head = tag_head
        self.register_buffer("mean", 255 * torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(STD).view(1, 3, 1, 1), persistent=False)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        device: torch.device = self.clip.logit_scale.device
        return device

    @property
    def logit_scale(self) -> Tensor:
        """The factor on the cosine, 1 / temperature."""
        scale: Tensor = self.clip.logit_scale.exp()
        return scale

    def forward(self, image: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
        """Return the features of images and of texts, the logits of tags, None without a head, and the logit scale."""
        features, texts = self.image_features(image).float(), self.text_features(ids).float()
        with torch.autocast(self.device.type, enabled=False):
            tags = None if self.tag_head is None else self.tag_head(features)
        return features, texts, tags, self.logit_scale

    def image_features(self, image: Tensor) -> Tensor:
        """Return (rows, feature width) of uint8 RGB images (rows, 3, side, side)."""
        pixels = (image.to(self.device).float() - self.mean) / self.std
        features: Tensor = self.clip.visual_projection(self.clip.vision_model(pixel_values=pixels).pooler_output)
        return features

    def text_features(self, ids: Tensor) -> Tensor:
        """Return (rows, feature width) of token ids (rows, tokens). Causal attention needs no mask of the padding."""
        features: Tensor = self.clip.text_projection(self.clip.text_model(input_ids=ids.to(self.device)).pooler_output)
        return features


def small_clip(
    tokenizer: PreTrainedTokenizerFast, sizes: Sizes | None = None, *, tag_count: int = 0, seed: int = 0
) -> TaggedClip:
    """Return a model with random weights, the same for the same ``seed``; a ``tag_count`` of 0 makes no tag head."""
    sizes = sizes or Sizes()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        clip = CLIPModel(_config(tokenizer, sizes))
        head = nn.Linear(sizes.feature_width, tag_count) if tag_count else None
    return TaggedClip(clip, head)


def save_clip(folder: str | os.PathLike[str], model: TaggedClip, tokenizer: PreTrainedTokenizerFast) -> None:
    """Write ``folder`` so that ``CLIPModel`` and ``CLIPProcessor`` load it; the tag head has a file of its own."""
    model.clip.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _image_processor(model.clip.config.vision_config.image_size).save_pretrained(folder)
    path = os.path.join(folder, _TAG_HEAD)
    if model.tag_head is not None:
        save_file(model.tag_head.state_dict(), path)
    elif os.path.exists(path):  # of a model that stood here before
        os.remove(path)


def check_folder(folder: str | os.PathLike[str]) -> None:
    """Raise BadInput unless there is a model in ``folder``."""
    if not os.path.isfile(os.path.join(folder, "config.json")):
        raise BadInput(f"no model in {os.fspath(folder)!r}: expected a folder with config.json and model.safetensors")


def load_clip(folder: str | os.PathLike[str]) -> tuple[TaggedClip, PreTrainedTokenizerFast]:
    """Return the model and the tokenizer in ``folder``; safetensors alone, and nothing is fetched.

    Raises:
        BadInput: there is no model in ``folder``
    """
    check_folder(folder)
    clip = CLIPModel.from_pretrained(folder, use_safetensors=True, local_files_only=True)
    tokenizer: PreTrainedTokenizerFast = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    path = os.path.join(folder, _TAG_HEAD)
    return TaggedClip(clip, _tag_head(path) if os.path.exists(path) else None).eval(), tokenizer


def _tag_head(path: str) -> nn.Linear:
    weights = load_file(path)
    tags, width = weights["weight"].shape
    head = nn.Linear(width, tags)
    head.load_state_dict(weights)
    return head


def _config(tokenizer: PreTrainedTokenizerFast, sizes: Sizes) -> CLIPConfig:
    return CLIPConfig(
        text_config={
            **_tower(sizes.text_width, sizes.text_layers, sizes),
            "vocab_size": len(tokenizer),
            "max_position_embeddings": sizes.max_tokens,
            "pad_token_id": tokenizer.pad_token_id,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
        },
        vision_config={
            **_tower(sizes.image_width, sizes.image_layers, sizes),
            "image_size": sizes.image_size,
            "patch_size": sizes.patch_size,
        },
        projection_dim=sizes.feature_width,
        logit_scale_init_value=math.log(1 / sizes.temperature),
    )


def _tower(width: int, layers: int, sizes: Sizes) -> dict[str, object]:
    return {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": width // sizes.head_width,
        "projection_dim": sizes.feature_width,
        "hidden_act": "gelu",
    }


def _image_processor(side: int) -> CLIPImageProcessor:
    return CLIPImageProcessor(
        size={"shortest_edge": side},
        crop_size={"height": side, "width": side},
        image_mean=list(MEAN),
        image_std=list(STD),
    )
