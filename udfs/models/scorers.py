"""Models that say how well a text fits an image, found by URI."""

from collections.abc import Sequence
from typing import Final, Protocol

from lakehouse.errors import UnknownModel
from udfs.discrepancy import TextEmbedder

_SCHEMES: Final = ("clip", "hf")


class Scorer(TextEmbedder, Protocol):
    """A model: images with their texts in, numbers out. Its text side alone makes vectors of texts."""

    @property
    def identity(self) -> str:
        """The model's URI without what cannot change a score, such as the folder that its own folder lies in."""

    @property
    def revision(self) -> str:
        """Revision of the weights: same revision, same scores."""

    def score(self, images: Sequence[bytes], texts: Sequence[Sequence[str]]) -> list[list[float] | None]:
        """Return how well each of an image's ``texts`` fits it, in order; None for an image that cannot be read."""


def load_scorer(uri: str) -> Scorer:
    """Return the scorer that ``uri`` names: ``clip://FOLDER`` or ``hf://FOLDER``, a CLIP as train_clip leaves it.

    Raises UnknownModel for another scheme, BadInput where there is no model in the folder.
    """
    scheme, separator, folder = uri.partition("://")
    if not separator or scheme not in _SCHEMES or not folder:
        raise UnknownModel(f"unknown scorer {uri!r}: expected clip://FOLDER or hf://FOLDER, a checkpoint of train_clip")
    from udfs.clip.quiet import be_quiet

    be_quiet()
    from udfs.clip.scorer import ClipScorer

    return ClipScorer(folder)
