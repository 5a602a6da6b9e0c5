"""What can be asked about an image: the form of the answer, and what makes one unusable."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from udfs.descriptions import parse_answer
from udfs.ratings import parse_rating
from udfs.recaptions import LONG, SHORT, parse_caption


@dataclass(frozen=True, kw_only=True)
class Task:
    """One kind of question."""

    name: str
    schema: Mapping[str, Any] | None
    """JSON schema of the answer; None for plain text."""
    complaint: Callable[[str], str | None]
    """What is wrong with an answer, in words for the model, if it cannot be used; None if it can."""


def _four_texts_complaint(answer: str) -> str | None:
    texts = parse_answer(answer)
    return None if texts.reason is None else texts.detail or texts.reason


def _caption_complaint(kind: str) -> Callable[[str], str | None]:
    def complaint(answer: str) -> str | None:
        caption = parse_caption(answer, kind)
        return None if caption.reason is None else caption.detail or caption.reason

    return complaint


def _rating_complaint(answer: str) -> str | None:
    return parse_rating(answer).detail


def _object(**fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


_TEXT: Final = {"type": "string"}
_TAGS: Final = {"type": "array", "items": {"type": "string"}}

DESCRIBE: Final = Task(
    name="describe",
    schema=_object(long_positive=_TEXT, short_positive=_TAGS, long_negative=_TEXT, short_negative=_TAGS),
    complaint=_four_texts_complaint,
)
"""HQ-CLIP's four texts (section 3 of the paper)."""

RECAP_SHORT: Final = Task(name=SHORT, schema=None, complaint=_caption_complaint(SHORT))
"""RECAP's short caption: what one would type to see such a picture (section 4 of the paper)."""

RECAP_LONG: Final = Task(name=LONG, schema=None, complaint=_caption_complaint(LONG))
"""RECAP's long caption, by the same model under another prefix: all that is to be seen."""

RATE: Final = Task(name="rate", schema=_object(rating={"type": "integer"}), complaint=_rating_complaint)
"""How well a text fits the image, 0 to 10 (HQ-CLIP, figure 4)."""

TASKS: Final[Mapping[str, Task]] = {task.name: task for task in (DESCRIBE, RECAP_SHORT, RECAP_LONG, RATE)}
"""Task by name: the name is what travels to where it is asked, and stands in the ledger."""
