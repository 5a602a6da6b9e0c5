"""What became of one request: an answer, a typed failure, a wait, or the end of all asking."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Answered:
    """The server answered with a text."""

    text: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    raw: str


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The server answered, but not with a text that can be used; asking the same again would not help."""

    reason: str
    """From the closed list in ``udfs.reasons``."""
    detail: str
    raw: str
    is_paid: bool
    """Whether a model wrote something: a request that was refused at the door costs nothing."""
    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, kw_only=True)
class Busy:
    """The server did not answer; it may do so later."""

    reason: str
    detail: str
    wait: float | None = None
    """Seconds that it asked to be left alone for."""
    is_sent: bool = True
    """Whether the request may have been worked on."""
    raw: str = ""


@dataclass(frozen=True, kw_only=True)
class Hopeless:
    """No request of this kind will ever be answered: a wrong key, no such model, a model that cannot see."""

    message: str
    is_perhaps_this_one: bool = False
    """Whether the same is said of one request that a filter turns away."""
    raw: str = ""


Verdict = Answered | Failed | Busy | Hopeless
