"""A CLIP at hand: texts and images in, features of unit length out, wherever the model lies."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from udfs.clip.model import TaggedClip
from udfs.clip.retrieval import embed_images, embed_texts


@dataclass(frozen=True)
class Features:
    """Features of unit length, (things, width), and the place of each thing by its name; a text is its own name."""

    values: Tensor
    places: Mapping[str, int]

    def of(self, names: Sequence[str]) -> Tensor:
        """Return the features of ``names``, in order; all of them must be there."""
        return self.values[[self.places[name] for name in names]]


@dataclass(frozen=True)
class Encoder:
    """A model with its tokenizer; images go through it ``batch_size`` at a time."""

    model: TaggedClip
    tokenizer: PreTrainedTokenizerFast
    batch_size: int = 128

    @property
    def side(self) -> int:
        """Height and width of the images that it takes, in pixels."""
        return self.model.image_size

    def images(self, batches: Iterable[Tensor]) -> Tensor:
        """Return float32 (images, width), on the CPU; a batch is uint8 RGB (rows, 3, side, side)."""
        return embed_images(self.model, batches)

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Return float32 (texts, width), on the CPU; equal texts have equal features."""
        return embed_texts(self.model, self.tokenizer, texts)

    def named_texts(self, texts: Iterable[str]) -> Features:
        """Return the features of ``texts``, each once."""
        places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        return Features(self.texts(list(places)), places)


def on_device(model: TaggedClip) -> TaggedClip:
    """Return ``model`` on a GPU where there is one."""
    return model.to("cuda" if torch.cuda.is_available() else "cpu")
