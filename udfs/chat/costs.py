"""What requests can come to at most, before they are sent, and what they came to."""

from lakehouse.limits import Spend
from udfs.chat.body import MAX_QUOTED_CHARS, BodyMaker
from udfs.chat.prices import FREE
from udfs.chat.settings import ChatSettings
from udfs.chat.verdicts import Answered, Busy, Failed, Verdict
from udfs.prompts import split_prompt
from udfs.tasks import Task


def most_of_one(settings: ChatSettings, body: bytes, image: tuple[str, bytes] | None) -> Spend:
    """Return the most that a request with ``body`` can cost: a token stands for at least one byte of text."""
    drawn = 4 * ((len(image[1]) + 2) // 3) if image else 0
    return _most(settings, 1, len(body) - drawn, has_image=image is not None)


def most_of_all(settings: ChatSettings, requests: int, own_bytes: int, task: Task, prompt: str) -> Spend:
    """Return the most that so many requests can come to, each asked a second time."""
    first = most_of_first(settings, requests, own_bytes, task, prompt)
    return first.plus(first).plus(_most(settings, 0, requests * 4 * MAX_QUOTED_CHARS, has_image=False))


def most_of_first(settings: ChatSettings, requests: int, own_bytes: int, task: Task, prompt: str) -> Spend:
    """Return the most that so many requests can come to, each asked once."""
    shared = len(BodyMaker(settings, prompt, task.schema).body(split_prompt(prompt)[1], None))
    # What is quoted in JSON twice over can take up to four times its bytes.
    return _most(settings, requests, requests * shared + 4 * own_bytes, has_image=settings.images)


def came_to(settings: ChatSettings, verdict: Verdict, most: Spend) -> Spend:
    """Return what a request cost that ended in ``verdict``; the most, where that is not known."""
    match verdict:
        case Answered() | Failed(is_paid=True):
            read, written = verdict.input_tokens, verdict.output_tokens
            if read is None or written is None:
                return most
            return Spend(1, read + written, (settings.price or FREE).of(read, written))
        case Busy(is_sent=False):
            return Spend()
        # A gateway that says 502 or 504 may have had a model work on it.
        case Busy(reason="timed_out" | "unavailable" | "left_out" | "server_error"):
            return most
    return Spend(1)


def _most(settings: ChatSettings, requests: int, text: int, *, has_image: bool) -> Spend:
    price = settings.price or FREE
    read = text + (requests * (settings.image_tokens or price.image_tokens) if has_image else 0)
    written = requests * settings.max_tokens
    return Spend(requests, read + written, price.of(read, written))
