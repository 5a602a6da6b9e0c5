"""What differs between the two architectures of transformers that are trained here: CLIP's and SigLIP's."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
)

from udfs.clip.look import Look
from udfs.clip.sizes import Sizes

_SIGLIP_SCALE: Final = 10.0
_SIGLIP_BIAS: Final = -10.0
"""Where temperature and bias start (Zhai et al. 2023, section 3.2): nearly all pairs of a batch are false ones."""


@dataclass(frozen=True)
class Family:
    """An architecture: how it is made, and how its model gives features.

    Attributes:
        model, config: classes of transformers
        configure: returns the configuration of some sizes for a tokenizer
        begin: sets what a model with random weights starts from otherwise than transformers has it
        image, text: return features (rows, width), given the model and its pixels or its token ids
        width: returns the width of features, given a configuration
        processor: returns the image processor of a look, to be saved beside the weights
        is_sigmoid: it learns by SigLIP's loss, with a bias; else by CLIP's
    """

    model: Any
    config: Any
    configure: Callable[[Sizes, PreTrainedTokenizerFast], Any]
    begin: Callable[[Any], None]
    image: Callable[[Any, Tensor], Tensor]
    text: Callable[[Any, Tensor], Tensor]
    width: Callable[[Any], int]
    processor: Callable[[Look], Any]
    is_sigmoid: bool


def _clip_config(sizes: Sizes, tokenizer: PreTrainedTokenizerFast) -> Any:
    shared = {"projection_dim": sizes.feature_width, "hidden_act": "gelu"}
    return CLIPConfig(
        text_config={
            **_tower(sizes.text_width, sizes.text_layers, sizes),
            **shared,
            **_words(sizes, tokenizer),
        },
        vision_config={**_tower(sizes.image_width, sizes.image_layers, sizes), **shared, **_patches(sizes)},
        projection_dim=sizes.feature_width,
        logit_scale_init_value=math.log(1 / sizes.temperature),
    )


def _siglip_config(sizes: Sizes, tokenizer: PreTrainedTokenizerFast) -> Any:
    return SiglipConfig(
        text_config={
            **_tower(sizes.text_width, sizes.text_layers, sizes),
            **_words(sizes, tokenizer),
            "projection_size": sizes.feature_width,
        },
        vision_config={**_tower(sizes.image_width, sizes.image_layers, sizes), **_patches(sizes)},
    )


def _tower(width: int, layers: int, sizes: Sizes) -> dict[str, object]:
    return {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": width // sizes.head_width,
    }


def _patches(sizes: Sizes) -> dict[str, object]:
    return {"image_size": sizes.image_size, "patch_size": sizes.patch_size}


def _words(sizes: Sizes, tokenizer: PreTrainedTokenizerFast) -> dict[str, object]:
    return {"max_position_embeddings": sizes.max_tokens, **vocabulary(tokenizer)}


def vocabulary(tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    """Return what a text tower's configuration says of its tokenizer."""
    return {
        "vocab_size": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }


def _clip_image(clip: Any, pixels: Tensor) -> Tensor:
    features: Tensor = clip.visual_projection(clip.vision_model(pixel_values=pixels).pooler_output)
    return features


def _clip_text(clip: Any, ids: Tensor) -> Tensor:
    """Return features of texts padded after their end: causal attention needs no mask of the padding."""
    features: Tensor = clip.text_projection(clip.text_model(input_ids=ids).pooler_output)
    return features


def _siglip_image(siglip: Any, pixels: Tensor) -> Tensor:
    features: Tensor = siglip.vision_model(pixel_values=pixels).pooler_output
    return features


def _siglip_text(siglip: Any, ids: Tensor) -> Tensor:
    """Return features of texts, padded to the full length: the feature is the last place's, and padding is seen."""
    config = siglip.config.text_config
    padded = F.pad(ids, (0, config.max_position_embeddings - ids.shape[1]), value=config.pad_token_id)
    features: Tensor = siglip.text_model(input_ids=padded).pooler_output
    return features


def _begin_siglip(siglip: Any) -> None:
    with torch.no_grad():
        siglip.logit_scale.fill_(math.log(_SIGLIP_SCALE))
        siglip.logit_bias.fill_(_SIGLIP_BIAS)


def _clip_processor(look: Look) -> Any:
    square = {"height": look.side, "width": look.side}
    return CLIPImageProcessor(
        size={"shortest_edge": look.side} if look.is_cropped else square,
        **({} if look.is_cropped else {"do_center_crop": False}),
        crop_size=square,
        image_mean=list(look.mean),
        image_std=list(look.std),
    )


def _siglip_processor(look: Look) -> Any:
    return SiglipImageProcessor(
        size={"height": look.side, "width": look.side}, image_mean=list(look.mean), image_std=list(look.std)
    )


FAMILIES: Final[Mapping[str, Family]] = {
    "clip": Family(
        model=CLIPModel,
        config=CLIPConfig,
        configure=_clip_config,
        begin=lambda clip: None,
        image=_clip_image,
        text=_clip_text,
        width=lambda config: int(config.projection_dim),
        processor=_clip_processor,
        is_sigmoid=False,
    ),
    "siglip": Family(
        model=SiglipModel,
        config=SiglipConfig,
        configure=_siglip_config,
        begin=_begin_siglip,
        image=_siglip_image,
        text=_siglip_text,
        width=lambda config: int(config.vision_config.hidden_size),
        processor=_siglip_processor,
        is_sigmoid=True,
    ),
}
"""By ``model_type``, the architecture's name in a configuration."""
