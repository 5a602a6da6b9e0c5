"""Models for tests: each gives one kind of answer, which the row's own values decide."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from lakehouse.limits import Spend
from udfs.models import Desk, Reply, Request, one_by_one
from udfs.tasks import Task


def _echo(request: Request, task: Task) -> Reply:
    """Answer with the alt-text and the web tags, well formed."""
    shown = f"Shown: {request.alt_text}"
    if task.schema is None:
        return Reply(answer=shown)
    tags = list(request.web_tags) or ["echo"]
    return Reply(answer=_four_texts(shown, tags, f"Not shown: {request.alt_text}", ["silence"]))


def _broken(request: Request, task: Task) -> Reply:
    """Answer with prose in which there is no JSON, and which is no caption either."""
    return Reply(answer=f"I am sorry, I see only {request.alt_text}.")


def _identity(request: Request, task: Task) -> Reply:
    """Answer with the SHA-256 of the image that came, so that a shifted row shows."""
    if request.image is None:
        return Reply(reason="missing_image")
    digest = hashlib.sha256(request.image).hexdigest()
    if task.schema is None:
        return Reply(answer=f"{task.name} of {digest}")
    return Reply(answer=_four_texts(digest, [digest[:16]], f"not {digest}", [f"not {digest[:16]}"]))


def _fails(request: Request, task: Task) -> Reply:
    """Answer nothing: the model fails on every row."""
    return Reply(reason="model_error")


ANSWERS: Final[Mapping[str, Callable[[Request, Task], Reply]]] = {
    "broken": _broken,
    "echo": _echo,
    "fails": _fails,
    "identity": _identity,
}
"""Name behind ``fake://`` to what it answers."""


class FakeDescriber:
    """A describer whose answers a test can foretell."""

    revision = "1"
    has_price = True
    most_tasks = None

    def __init__(self, name: str) -> None:
        self.identity = f"fake://{name}"
        self.needs_image = name == "identity"
        self._answer = ANSWERS[name]

    def most(self, requests: int, own_bytes: int, task: Task, prompt: str) -> Spend:
        """Return nothing: it is free."""
        return Spend()

    def check(self) -> None:
        """Do nothing."""

    def describe(self, requests: Iterable[Request], desk: Desk) -> Iterator[tuple[Request, Reply]]:
        """Return one reply a request, in order."""
        return one_by_one(lambda request: self._answer(request, desk.task), requests, desk)


def _four_texts(long_positive: str, short_positive: list[str], long_negative: str, short_negative: list[str]) -> str:
    texts = {
        "long_positive": long_positive,
        "short_positive": short_positive,
        "long_negative": long_negative,
        "short_negative": short_negative,
    }
    return json.dumps(texts)
