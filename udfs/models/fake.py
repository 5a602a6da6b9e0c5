"""Models for tests: each gives one kind of answer, which the row's own values decide."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from udfs.models import Reply, Request


def _echo(request: Request) -> Reply:
    """Answer with the alt-text and the web tags, well formed."""
    tags = list(request.web_tags) or ["echo"]
    return Reply(answer=_four_texts(f"Shown: {request.alt_text}", tags, f"Not shown: {request.alt_text}", ["silence"]))


def _broken(request: Request) -> Reply:
    """Answer with prose in which there is no JSON."""
    return Reply(answer=f"I am sorry, I see only {request.alt_text}.")


def _identity(request: Request) -> Reply:
    """Answer with the SHA-256 of the image that came, so that a shifted row shows."""
    if request.image is None:
        return Reply(reason="missing_image")
    digest = hashlib.sha256(request.image).hexdigest()
    return Reply(answer=_four_texts(digest, [digest[:16]], f"not {digest}", [f"not {digest[:16]}"]))


def _fails(_: Request) -> Reply:
    """Answer nothing: the model fails on every row."""
    return Reply(reason="model_error")


ANSWERS: Final[Mapping[str, Callable[[Request], Reply]]] = {
    "broken": _broken,
    "echo": _echo,
    "fails": _fails,
    "identity": _identity,
}
"""Name behind ``fake://`` to what it answers."""


class FakeDescriber:
    """A describer whose answers a test can foretell."""

    revision = "1"

    def __init__(self, name: str) -> None:
        self._answer = ANSWERS[name]
        self.needs_image = name == "identity"

    def describe(self, requests: Sequence[Request]) -> list[Reply]:
        """Return one reply a request, in order."""
        return [self._answer(request) for request in requests]


def _four_texts(long_positive: str, short_positive: list[str], long_negative: str, short_negative: list[str]) -> str:
    texts = {
        "long_positive": long_positive,
        "short_positive": short_positive,
        "long_negative": long_negative,
        "short_negative": short_negative,
    }
    return json.dumps(texts)
