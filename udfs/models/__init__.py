"""Models that answer about an image, found by URI: ``load(uri)`` returns something with one method."""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from lakehouse.errors import UnknownModel
from lakehouse.governor import Address
from lakehouse.limits import Spend
from udfs.prompts import fill
from udfs.tasks import Task


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a model is told of one sample."""

    request_key: str
    """Key of the answer in the ledger."""
    sample_id: str
    image_id: str
    alt_text: str
    statement: str | None = None
    """What somebody says of the image, where that is what is asked about."""
    image: bytes | None = None
    """The encoded image; None where the model does not need it."""
    web_tags: tuple[str, ...] = ()
    colours: tuple[str, ...] = ()
    """Names of the main colours, most frequent first (silver.signals)."""
    width: int
    height: int

    def fill(self, prompt: str) -> str:
        """Return the text of a ``prompt`` with what this sample is told of in its placeholders."""
        return fill(
            prompt,
            sample_id=self.sample_id,
            alt_text=self.alt_text,
            web_tags=self.web_tags,
            statement=self.statement,
        )


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What came of one request: an answer, or the reason why there is none."""

    answer: str | None = None
    reason: str | None = None
    """From the closed list in ``udfs.reasons``; None exactly where there is an answer."""
    detail: str | None = None
    """What was wrong, for people."""
    raw: str | None = None
    """What the server sent, capped; None where the model runs in this process."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float = 0.0
    seconds: float = 0.0
    """From sending to the whole answer, waits between attempts included."""
    attempts: int = 1
    is_missed: bool = False
    """Whether no server answered: it is asked again in the next run."""

    @property
    def status(self) -> str:
        """How the ledger calls it: answered, failed, or missed."""
        if self.reason is None:
            return "answered"
        return "missed" if self.is_missed else "failed"


Record = Callable[[Mapping[str, Any]], None]
"""Writes a line into the journal."""


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What a model has before it while it answers."""

    task: Task
    prompt: str
    """The text of the prompt file, placeholders not yet filled: see ``udfs.prompts.fill``."""
    record: Callable[[Request, Reply], None] = lambda request, reply: None
    """To be called with each reply as soon as it is there, before anything else is done with it; from any thread."""
    note: Record = lambda record: None
    """Writes what is under way into the journal."""
    keep: Callable[[], None] = lambda: None
    """Makes what was written into the journal outlive the machine: before much is paid for at one stroke."""
    begun: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By request key: notes of kind ``unreadable`` that a run which died has left, paid for and not yet asked again."""
    submitted: Sequence[Mapping[str, Any]] = ()
    """Notes of kind ``submission``: requests, by their ``keys``, that a run which died has handed in all at once."""
    limits: Address | None = None
    """Where leave to send is asked for; None where nothing is limited."""


class Describer(Protocol):
    """A model: requests in, replies out."""

    @property
    def identity(self) -> str:
        """The model's URI without what cannot change an answer, such as the host it runs on."""

    @property
    def revision(self) -> str:
        """Revision of the weights or of the rules, part of every request key: same revision, same answers."""

    @property
    def needs_image(self) -> bool:
        """Whether requests must carry the image's bytes."""

    @property
    def has_price(self) -> bool:
        """Whether it is known what an answer costs."""

    @property
    def most_tasks(self) -> int | None:
        """How many tasks of one machine can ask it at one time; None for any number."""

    def most(self, requests: int, own_bytes: int, task: Task, prompt: str) -> Spend:
        """Return the most that so many requests can come to, whose samples' own texts have ``own_bytes`` in all."""

    def check(self) -> None:
        """Raise BadInput or ModelFailed, within seconds, if the model cannot answer anything; ask it nothing paid."""

    def describe(self, requests: Iterable[Request], desk: Desk) -> Iterator[tuple[Request, Reply]]:
        """Yield each request with its reply, in whatever order they come: a row that fails is a reply with a reason."""


def one_by_one(
    answer: Callable[[Request], Reply], requests: Iterable[Request], desk: Desk
) -> Iterator[tuple[Request, Reply]]:
    """Yield each of ``requests`` with its ``answer``, in order: for models that are a plain function."""
    for request in requests:
        reply = answer(request)
        desk.record(request, reply)
        yield request, reply


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


def _chat(scheme: str) -> Callable[[str], Describer]:
    def read(path: str) -> Describer:
        from udfs.chat.settings import read_settings
        from udfs.models.chat import ChatDescriber

        return ChatDescriber(read_settings(scheme, path))

    return read


def _hf(path: str) -> Describer:
    from udfs.hf.settings import read_settings
    from udfs.models.hf import HfDescriber

    return HfDescriber(read_settings(path))


def _batch(scheme: str) -> Callable[[str], Describer]:
    def read(path: str) -> Describer:
        from udfs.batch.settings import read_batch_settings
        from udfs.models.batch import BatchDescriber

        return BatchDescriber(read_batch_settings(scheme, path))

    return read


# Functions that import when called: a job that uses the rules must not wait for another model's libraries.
_LOADERS: Final[Mapping[str, Callable[[str], Describer]]] = {
    "fake": _fake,
    "hf": _hf,
    "openai": _chat("openai"),
    "openai+batch": _batch("openai+batch"),
    "openai+batch+http": _batch("openai+batch+http"),
    "openai+batch+https": _batch("openai+batch+https"),
    "openai+http": _chat("openai+http"),
    "openai+https": _chat("openai+https"),
    "rules": _rules,
}


def _listed(schemes: Mapping[str, object]) -> str:
    return ", ".join(f"{scheme}://" for scheme in sorted(schemes))


def _guess(uri: str) -> str:
    close = difflib.get_close_matches(uri.partition(":")[0].strip("/").lower(), _LOADERS, n=1)
    return f"; did you mean {close[0]}://?" if close else ""
