"""A CLIP or a SigLIP of transformers in any size, with HQ-CLIP's tag head, and its folder on disk."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from lakehouse import peers
from udfs.clip.families import FAMILIES, vocabulary
from udfs.clip.folder import Folder, check_folder
from udfs.clip.look import LOOKS, Look, read_look
from udfs.clip.pretrained import read_config, read_tokenizer_in, read_weights
from udfs.clip.sizes import Sizes as Sizes
from udfs.clip.start import Start

_TAG_HEAD: Final = "tag_head.safetensors"


class TaggedClip(nn.Module):
    """A ``CLIPModel`` or a ``SiglipModel`` with a linear head on its image features that names tags.

    Features are before scaling to unit length. ``tag_head`` is None for a model that was trained without tags; ``look``
    None takes the architecture's own.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, clip: Any, tag_head: nn.Linear | None = None, look: Look | None = None) -> None:
        super().__init__()
        self.clip = clip
        self.tag_head = tag_head
        self.family = FAMILIES[clip.config.model_type]
        self.look = look or _own_look(clip.config)
        self.register_buffer("mean", 255 * torch.tensor(self.look.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(self.look.std).view(1, 3, 1, 1), persistent=False)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        device: torch.device = self.clip.logit_scale.device
        return device

    @property
    def image_size(self) -> int:
        """Side of the square images, in pixels."""
        return self.look.side

    @property
    def feature_width(self) -> int:
        """Width of the features, of images and texts alike."""
        return self.family.width(self.clip.config)

    @property
    def logit_scale(self) -> Tensor:
        """The factor on the cosine, 1 / temperature."""
        scale: Tensor = self.clip.logit_scale.exp().reshape(())
        return scale

    @property
    def logit_bias(self) -> Tensor | None:
        """What is added to the scaled cosine, None for an architecture without it."""
        return self.clip.logit_bias.reshape(()) if self.family.is_sigmoid else None

    def forward(self, image: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor | None]:
        """Return the features of images and of texts, the logits of tags, the logit scale and the logit bias.

        Logits are None without a tag head, the bias is None for an architecture without it.
        """
        features, texts = self.image_features(image).float(), self.text_features(ids).float()
        with torch.autocast(self.device.type, enabled=False):
            tags = None if self.tag_head is None else self.tag_head(features)
        return features, texts, tags, self.logit_scale, self.logit_bias

    def image_features(self, image: Tensor) -> Tensor:
        """Return (rows, feature width) of uint8 RGB images (rows, 3, side, side)."""
        return self.family.image(self.clip, (image.to(self.device).float() - self.mean) / self.std)

    def text_features(self, ids: Tensor) -> Tensor:
        """Return (rows, feature width) of token ids (rows, tokens), padded after the end by the longest or further."""
        return self.family.text(self.clip, ids.to(self.device))


def small_clip(
    tokenizer: PreTrainedTokenizerFast, sizes: Sizes | None = None, *, tag_count: int = 0, seed: int = 0
) -> TaggedClip:
    """Return a model with random weights, the same for the same ``seed``; a ``tag_count`` of 0 makes no tag head."""
    sizes = sizes or Sizes()
    return _random(FAMILIES[sizes.architecture].configure(sizes, tokenizer), tag_count=tag_count, seed=seed)


def begin(start: Start, tokenizer: PreTrainedTokenizerFast, *, tag_count: int, seed: int) -> TaggedClip:
    """Return the model that a training starts from; its tag head is new, whatever lies in a folder.

    It has no dropout, whatever a folder says, as CLIP and SigLIP were trained: ``micro_batch`` computes a part twice,
    which must see the same both times, and a run that goes on must draw nothing that its checkpoint does not hold.

    Raises BadInput for a folder that cannot be read.
    """
    if start.folder is None:
        sizes = replace(start.sizes or Sizes(), image_size=start.image_size)
        return small_clip(tokenizer, sizes, tag_count=tag_count, seed=seed)
    return _without_dropout(_of_folder(start, start.folder, tokenizer, tag_count=tag_count, seed=seed))


def save_clip(folder: str | os.PathLike[str], model: TaggedClip, tokenizer: PreTrainedTokenizerFast) -> None:
    """Write ``folder`` so that transformers' own model and processor load it; the tag head has a file of its own."""
    model.clip.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    model.family.processor(model.look).save_pretrained(folder)
    path = os.path.join(folder, _TAG_HEAD)
    if model.tag_head is not None:
        save_file(model.tag_head.state_dict(), path)
    elif os.path.exists(path):  # of a model that stood here before
        os.remove(path)


def load_clip(folder: str | os.PathLike[str]) -> tuple[TaggedClip, PreTrainedTokenizerFast]:
    """Return the model and the tokenizer in ``folder``; safetensors alone, and nothing is fetched.

    Raises:
        BadInput: there is no model in ``folder``, or none that can be read here
    """
    found = check_folder(folder)
    tokenizer = read_tokenizer_in(found)
    clip, look = _read(found, tokenizer)
    path = os.path.join(folder, _TAG_HEAD)
    return TaggedClip(clip, _tag_head(path) if os.path.exists(path) else None, look).eval(), tokenizer


def _of_folder(
    start: Start, folder: Folder, tokenizer: PreTrainedTokenizerFast, *, tag_count: int, seed: int
) -> TaggedClip:
    if folder.has_weights:
        clip, look = _read(folder, tokenizer)
        return TaggedClip(clip, _new_head(clip, tag_count, seed), look)
    config = read_config(folder)
    if not start.has_tokenizer:
        for name, value in vocabulary(tokenizer).items():
            setattr(config.text_config, name, value)
    return _random(config, tag_count=tag_count, seed=seed, look=read_look(folder.path, _own_look(config)))


def _without_dropout(model: TaggedClip) -> TaggedClip:
    towers = (model.clip.config.text_config, model.clip.config.vision_config)
    if any(tower.attention_dropout for tower in towers) and peers.rank() == 0:
        print("note: attention_dropout is set to 0: training is without dropout", file=sys.stderr)
    for tower in towers:
        tower.attention_dropout = 0.0
    for module in model.clip.modules():
        if hasattr(module, "dropout"):  # Each attention keeps a copy of what its configuration said.
            module.dropout = 0.0
    return model


def _random(config: Any, *, tag_count: int, seed: int, look: Look | None = None) -> TaggedClip:
    family = FAMILIES[config.model_type]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        clip = family.model(config)
        family.begin(clip)
        head = nn.Linear(family.width(config), tag_count) if tag_count else None
    return TaggedClip(clip, head, look)


def _new_head(clip: Any, tag_count: int, seed: int) -> nn.Linear | None:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Linear(FAMILIES[clip.config.model_type].width(clip.config), tag_count) if tag_count else None


def _read(folder: Folder, tokenizer: PreTrainedTokenizerFast) -> tuple[Any, Look]:
    clip = read_weights(folder, tokenizer)
    return clip, read_look(folder.path, _own_look(clip.config))


def _own_look(config: Any) -> Look:
    side = config.vision_config.image_size
    return replace(LOOKS[config.model_type], side=side if isinstance(side, int) else side[0])


def _tag_head(path: str) -> nn.Linear:
    weights = load_file(Path(path))
    tags, width = weights["weight"].shape
    head = nn.Linear(width, tags)
    head.load_state_dict(weights)
    return head
