"""Models that describe an image, found by URI: ``load(uri)`` returns something with one method."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from lakehouse.errors import UnknownModel


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a model is told of one sample."""

    sample_id: str
    image_id: str
    alt_text: str
    prompt: str
    """The text of the prompt file, placeholders not yet filled: see ``udfs.prompts.fill``."""
    image: bytes | None = None
    """The encoded image; None where the model does not need it."""
    web_tags: tuple[str, ...] = ()
    colours: tuple[str, ...] = ()
    """Names of the main colours, most frequent first (silver.signals)."""
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a model said to one request: an answer, or the reason why there is none."""

    answer: str | None = None
    reason: str | None = None
    """From the closed list in ``udfs.reasons``; None exactly where there is an answer."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float = 0.0
    seconds: float = 0.0
    """From sending to the whole answer."""
    attempts: int = 1


class Describer(Protocol):
    """A model that writes the four texts of HQ-CLIP: image and text in, text out."""

    @property
    def revision(self) -> str:
        """Revision of the weights or of the rules, part of every request key: same revision, same answers."""

    @property
    def needs_image(self) -> bool:
        """Whether requests must carry the image's bytes."""

    def describe(self, requests: Sequence[Request]) -> list[Reply]:
        """Return one reply a request, in order; a row that fails is a reply with a reason, never an exception."""


def load(uri: str) -> Describer:
    """Return the model that ``uri`` names; raise UnknownModel, with the URIs there are, if none does.

    >>> load("rules://").needs_image
    False
    """
    scheme, separator, path = uri.partition("://")
    if not separator or scheme not in _LOADERS:
        raise UnknownModel(f"unknown model {uri!r}: expected one of {_listed(_LOADERS)}{_guess(uri)}")
    return _LOADERS[scheme](path)


def _rules(path: str) -> Describer:
    from udfs.models.rules import RuleDescriber

    if path:
        raise UnknownModel(f"unknown model {'rules://' + path!r}: expected rules:// with nothing behind it")
    return RuleDescriber()


def _fake(path: str) -> Describer:
    from udfs.models.fake import ANSWERS, FakeDescriber

    if path not in ANSWERS:
        expected = ", ".join(f"fake://{name}" for name in sorted(ANSWERS))
        raise UnknownModel(f"unknown model {'fake://' + path!r}: expected one of {expected}")
    return FakeDescriber(path)


# Functions that import when called: a job that uses the rules must not wait for another model's libraries.
_LOADERS: Final[Mapping[str, Callable[[str], Describer]]] = {"fake": _fake, "rules": _rules}


def _listed(schemes: Mapping[str, object]) -> str:
    return ", ".join(f"{scheme}://" for scheme in sorted(schemes))


def _guess(uri: str) -> str:
    close = difflib.get_close_matches(uri.partition(":")[0].strip("/").lower(), _LOADERS, n=1)
    return f"; did you mean {close[0]}://?" if close else ""
