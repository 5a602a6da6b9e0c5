"""Read the output of a batch: what came of each request, whatever order, gaps and extra lines it has."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from udfs.chat.reply import judge, kept
from udfs.chat.verdicts import Answered, Busy, Failed, Hopeless, Verdict


class Outcome(NamedTuple):
    """What stands in one line."""

    key: str
    """The request's own."""
    verdict: Verdict


@dataclass
class Outcomes:
    """The outcomes in ``lines`` for the requests with ``keys``: the first line on each counts."""

    lines: Iterable[bytes]
    keys: Collection[str]
    passed_over: Counter[str] = field(default_factory=Counter)
    """Lines that came a second time, and those that are about no request of ``keys``."""
    _met: set[str] = field(default_factory=set)

    def __iter__(self) -> Iterator[Outcome]:
        for line in self.lines:
            outcome = read_outcome(line)
            if outcome is None or outcome.key not in self.keys:
                self.passed_over["unknown"] += 1
            elif outcome.key in self._met:
                self.passed_over["doubled"] += 1
            else:
                self._met.add(outcome.key)
                yield outcome

    @property
    def is_whole(self) -> bool:
        """Whether, once all lines are read, there was one on each key and none on anything else."""
        return len(self._met) == len(self.keys) and not self.passed_over

    def left(self, verdict: Verdict) -> Iterator[Outcome]:
        """Yield ``verdict`` for each key that no line was about, once all lines are read."""
        return (Outcome(key, verdict) for key in self.keys if key not in self._met)


def read_outcome(line: bytes) -> Outcome | None:
    """Return what ``line`` of an output or error file says; None where it cannot be told whose it is."""
    try:
        fields = orjson.loads(line)
    except ValueError:
        return None
    key = fields.get("custom_id") if isinstance(fields, dict) else None
    return Outcome(key, _verdict(fields)) if isinstance(key, str) else None


def _verdict(fields: dict[str, Any]) -> Verdict:
    response = fields.get("response")
    if isinstance(response, dict) and isinstance(response.get("status_code"), int):
        return judge(response["status_code"], {}, orjson.dumps(response.get("body")))
    error = fields.get("error")
    code, message = (error.get("code"), error.get("message")) if isinstance(error, dict) else (None, None)
    # It was never answered: the batch met its end before, or the server failed on it.
    return Busy(reason="left_out", detail=kept(f"{code}: {message}".encode())[:200], is_sent=False)


def fields_of(verdict: Verdict) -> dict[str, Any]:
    """Return the fields of a reply that say what ``verdict`` says; what no server answered is to be asked again."""
    match verdict:
        case Answered():
            own: dict[str, Any] = {"answer": verdict.text}
        case Failed():
            own = {"reason": verdict.reason, "detail": verdict.detail}
        case Busy():
            return {"reason": verdict.reason, "detail": verdict.detail, "raw": verdict.raw or None, "is_missed": True}
        case Hopeless():
            return {"reason": "bad_request", "detail": verdict.message, "is_missed": True}
    return own | {"raw": verdict.raw, "input_tokens": verdict.input_tokens, "output_tokens": verdict.output_tokens}
