"""Read what a chat server sent back, whatever it is: every form of reply becomes one of four verdicts."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import orjson

from udfs.chat.verdicts import Answered, Busy, Failed, Hopeless, Verdict

MAX_RAW_CHARS: Final = 16 * 1024
"""How much of a reply is kept as it came."""

MAX_WAIT: Final = 600.0
"""Longest pause that a server is granted, in seconds: what asks for more is taken at this."""

_BUSY: Final = {408, 409, 425, 429, 500, 502, 503, 504, 529}
_IS_BLIND = re.compile(
    r"image input is not supported|(does not|doesn't|cannot|can't|not) (support|accept|process)\w* "
    r"(images?|vision|multimodal)|not a multimodal model|at most 0 image|image_url.{0,40}not supported",
    re.IGNORECASE,
)
_IS_OTHER_MODEL = re.compile(
    r"server is pinned to|model_not_found|(unknown|no such|invalid) model\b|not a valid model|"
    r"\bmodel\b.{0,80}\b(does not exist|not exist|not found|is not (available|loaded|served))",
    re.IGNORECASE,
)
"""How servers say that they have no such model where they do not say it by 404."""
_IS_QUOTA = re.compile(r"insufficient_quota|exceeded your current quota", re.IGNORECASE)


WITHOUT_IMAGES: Final = "with images=off in its URI it rewrites what the web says of them"
"""What a model that cannot see can do."""


def judge(status: int, headers: Mapping[str, str], body: bytes) -> Verdict:
    """Return what a reply with ``status`` and ``body`` means; never raise."""
    raw = kept(body)
    if status == 200:
        return _read(body, raw)
    said = _said(body) or raw[:200]
    if _IS_BLIND.search(said):
        return Hopeless(message=f"the model cannot see images: {said}; {WITHOUT_IMAGES}")
    if status in (401, 403):
        whom = "key" if status == 401 else "key or the request"
        return Hopeless(
            message=f"the server refuses the {whom} ({status}): {said}", is_perhaps_this_one=status == 403, raw=raw
        )
    if status in (404, 405, 501) or (status in (400, 422) and _IS_OTHER_MODEL.search(said)):
        # By 405, too, walls before a server turn away one text that looks like an attack.
        is_one = status in (405, 501)
        message = f"the server knows no such model or address ({status}): {said}"
        return Hopeless(message=message, is_perhaps_this_one=is_one, raw=raw)
    if status == 402 or (status == 429 and _IS_QUOTA.search(raw)):
        return Hopeless(message=f"the account has no credit left ({status}): {said}")
    if 300 <= status < 400:
        return Hopeless(
            message=f"the server sends requests elsewhere ({status}), which is not followed: name the place itself"
        )
    if status in _BUSY:
        wait = retry_after(headers.get("Retry-After"))
        return Busy(
            reason="server_busy" if status == 429 else "server_error", detail=f"{status}: {said}", wait=wait, raw=raw
        )
    return Failed(reason="bad_request", detail=f"{status}: {said}", raw=raw, is_paid=False)


def says_other_model(body: bytes) -> bool:
    """Say whether an error speaks of the model, and not of the address."""
    return _IS_OTHER_MODEL.search(_said(body)) is not None


def kept(body: bytes) -> str:
    """Return ``body`` as text that a table can hold, capped."""
    return body[: 4 * MAX_RAW_CHARS].decode("utf-8", "replace")[:MAX_RAW_CHARS].replace("\0", "\ufffd")


def retry_after(text: str | None, *, now: datetime | None = None) -> float | None:
    """Return the seconds that a Retry-After header asks for, in either form; None where it says nothing sensible.

    >>> retry_after("2"), retry_after("-1"), retry_after("soon")
    (2.0, None, None)
    """
    if text is None:
        return None
    if re.fullmatch(r"\s*\d{1,9}(\.\d{1,9})?\s*", text):
        return min(float(text), MAX_WAIT)
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    return min(seconds, MAX_WAIT) if seconds > 0 else None


def _read(body: bytes, raw: str) -> Verdict:
    try:
        reply = orjson.loads(body)
        choice = _only_choice(reply)
        text = _text(choice)
    except _NotAReply as error:
        return _failed(error.reason, str(error), raw, _usage_of(body))
    except (ValueError, RecursionError):
        return _failed("bad_reply", "the reply is no JSON", raw, (None, None))
    usage = _usage(reply)
    finish = choice.get("finish_reason")
    if finish == "length":
        return _failed("cut_answer", "the answer met max_tokens before its end", raw, usage)
    if finish == "content_filter":
        return _failed("filtered_answer", "the provider's filter held the answer back", raw, usage)
    return Answered(text=text, input_tokens=usage[0], output_tokens=usage[1], raw=raw)


class _NotAReply(Exception):
    """A reply without an answer; never leaves this module."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def _only_choice(reply: Any) -> dict[str, Any]:
    choices = reply.get("choices") if isinstance(reply, dict) else None
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        found = f"{len(choices)} choices" if isinstance(choices, list) else "no list of choices"
        raise _NotAReply("bad_reply", f"the reply has {found}, expected one choice")
    choice: dict[str, Any] = choices[0]
    return choice


def _text(choice: dict[str, Any]) -> str:
    message = choice.get("message")
    if not isinstance(message, dict):
        raise _NotAReply("bad_reply", "the reply's choice has no message")
    if message.get("refusal"):
        raise _NotAReply("refused", "the model refused to answer")
    if choice.get("finish_reason") == "content_filter":
        return ""
    content = message.get("content")
    if isinstance(content, list):  # some gateways answer in parts
        content = "".join(
            part.get("text", "") for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)
        )
    if content is None or content == "":
        raise _NotAReply("empty_answer", "the model said nothing")
    if not isinstance(content, str):
        raise _NotAReply("bad_reply", f"the message's content is {type(content).__name__}, expected text")
    return content


def _usage(reply: dict[str, Any]) -> tuple[int | None, int | None]:
    usage = reply.get("usage")
    if not isinstance(usage, dict):
        return None, None
    return _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))


def _usage_of(body: bytes) -> tuple[int | None, int | None]:
    reply = orjson.loads(body)
    return _usage(reply) if isinstance(reply, dict) else (None, None)


def _count(value: Any) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 40
    return value if is_count else None


def _failed(reason: str, detail: str, raw: str, usage: tuple[int | None, int | None]) -> Failed:
    return Failed(reason=reason, detail=detail, raw=raw, is_paid=True, input_tokens=usage[0], output_tokens=usage[1])


def _said(body: bytes) -> str:
    """Return the message of an error body, in OpenAI's form or in one of its many variants; empty if there is none."""
    try:
        found = orjson.loads(body)
    except ValueError:
        return ""
    for name in ("error", "message", "detail"):
        if isinstance(found, dict) and name in found:
            found = found[name]
    return " ".join(found.split())[:200] if isinstance(found, str) else ""
