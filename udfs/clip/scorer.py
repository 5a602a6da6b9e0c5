"""A CLIP as a scorer: 100 times the cosine between image and text, as the field's papers print it."""

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from udfs.clip.folder import check_folder, weights_digest
from udfs.clip.look import Look
from udfs.clip.model import TaggedClip, load_clip
from udfs.clip.pixels import square
from udfs.clip.retrieval import embed_images, embed_texts
from udfs.images import UnreadableImage

BATCH = 64
"""Images that go through the model at a time."""


class ClipScorer:
    """Scores by the checkpoint in a folder, on a GPU where there is one."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder).resolve()
        check_folder(self._folder)

    @cached_property
    def _loaded(self) -> tuple[TaggedClip, PreTrainedTokenizerFast]:
        model, tokenizer = load_clip(self._folder)
        return model.to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer

    @property
    def identity(self) -> str:
        """The folder's own name; where it lies changes no score."""
        return f"clip://{self._folder.name}"

    @cached_property
    def revision(self) -> str:
        """SHA-256, in hex, of the weights."""
        return weights_digest(self._folder)

    @property
    def name(self) -> str:
        """What it is, with its weights: numbers of two scorers cannot be compared."""
        return f"{self.identity}/{self.revision[:12]}"

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Return a vector of length one for each text, in order."""
        vectors: npt.NDArray[np.float64] = embed_texts(*self._loaded, list(texts)).double().cpu().numpy()
        return vectors

    def score(self, images: Sequence[bytes], texts: Sequence[Sequence[str]]) -> list[list[float] | None]:
        """Return 100 times the cosine of each image with each of its texts; None for an image that cannot be read."""
        model, tokenizer = self._loaded
        pixels = [_pixels(image, model.look) for image in images]
        there = [one for one in pixels if one is not None]
        seen = embed_images(model, torch.split(torch.stack(there), BATCH) if there else ())
        read = embed_texts(model, tokenizer, [text for own in texts for text in own])
        bounds = pairwise(accumulate(map(len, texts), initial=0))
        features = iter(seen)
        return [
            None if one is None else (100 * (read[start:end] @ next(features))).tolist()
            for one, (start, end) in zip(pixels, bounds, strict=True)
        ]


def _pixels(data: bytes, look: Look) -> Tensor | None:
    try:
        return square(data, look)
    except UnreadableImage:
        return None
