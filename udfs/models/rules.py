"""The free describer: it never sees the image, and arranges what is known without a model into the texts asked for.

It knows alt-text, web tags, main colours and orientation, and makes the false texts by swapping these for something
else of the same kind. One function words the true and the false text, so that no turn of phrase tells them apart. It
cannot count, sees no relation, and repeats an alt-text that is wrong. It serves to run the engine from end to end, and
as the baseline that a paid model has to beat.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from lakehouse.limits import Spend
from udfs.alt_text import clean_for_prompt
from udfs.models import Desk, Reply, Request, one_by_one
from udfs.models.concepts import concept_of
from udfs.models.facts import WORD, Facts, facts_of, words_within
from udfs.models.swaps import Swaps, colourful_first, draw
from udfs.recaptions import LONG, SHORT
from udfs.tasks import Task

REVISION: Final = "3"
"""To be raised with every change that changes an answer; a test holds the answers of the revision."""

_MAX_SAID_CHARS = 10_000
_MAX_TAGS = 8  # HQ-CLIP's examples have 5 to 8 tags an image
_MAX_WEB_TAGS = 6  # leaves room for two colours
_MAX_TAGS_IN_TEXT = 3
_MAX_TAG_TOKENS = 14

_OPENINGS = (
    "The image shows {}",
    "The image shows {}",
    "The picture shows {}",
    "This image shows {}",
    "An image of {}",
    "A picture of {}",
)
_COLOURS = (", mostly in {}.", " in {}.", ", mainly {}.", ". The main colour{s} {are} {}.", ". It is mostly {}.")
_TAGS = (" It has to do with {}.", " It is about {}.", " The topic is {}.", " Related to {}.")
_SHAPES = (" The picture is {}.", " It has a {} format.", " The format is {}.")
_NAMELESS = ("something", "an object", "a drawing")


@dataclass(frozen=True)
class _Layout:
    """How a sample's texts are worded and which facts they mention: the same for the true and the false one."""

    opening: str
    colours: str
    tags: str
    shape: str
    nameless: str
    colour_positions: tuple[int, ...]
    tag_positions: tuple[int, ...]
    has_shape: bool


class RuleDescriber:
    """Describes by rules: free, deterministic, and blind."""

    identity = "rules://"
    revision = REVISION
    has_price = True
    most_tasks = None
    needs_image = False

    def most(self, requests: int, own_bytes: int, task: Task, prompt: str) -> Spend:
        """Return nothing: it is free."""
        return Spend()

    def check(self) -> None:
        """Do nothing: rules need nothing."""

    def describe(self, requests: Iterable[Request], desk: Desk) -> Iterator[tuple[Request, Reply]]:
        """Return one reply a request, in order: a pure function of request and task but for its seconds."""
        return one_by_one(partial(_reply, answer=_ANSWERS[desk.task.name]), requests, desk)


def _reply(request: Request, answer: Callable[[Request], str | None]) -> Reply:
    started = time.perf_counter()
    text = answer(request)
    reason = None if text else "model_error"
    return Reply(answer=text, reason=reason, seconds=time.perf_counter() - started)


def _description(request: Request) -> str | None:
    texts = four_texts(request)
    return json.dumps(texts, ensure_ascii=False) if texts else None


def four_texts(request: Request) -> dict[str, str | list[str]] | None:
    """Return the four texts by name; None where the web says so much of the image that nothing is left to be false."""
    facts = facts_of(request)
    swaps = _swaps_of(request, facts)
    layout = _layout_of(facts, swaps)
    short_positive = _short_positive(facts)
    short_negative = swaps.false_tags(short_positive)
    long_positive, long_negative = _worded(facts, layout), _worded(swaps.falsified(), layout)
    if long_negative == long_positive or not short_negative:
        return None
    return {
        "long_positive": long_positive,
        "short_positive": short_positive,
        "long_negative": long_negative,
        "short_negative": short_negative,
    }


def short_caption(request: Request) -> str:
    """Return RECAP's short caption: one sentence with the subject or, without one, the first that is known."""
    facts = facts_of(request)
    colours = [facts.colours[position] for position in _colours_to_mention(facts, 2)]
    known = facts.subject or _listed(facts.tags[:2]) or f"something in a {facts.shape} format"
    with_colours = f"{known} in {_listed(colours)}" if colours and not facts.subject else known
    return _layout_of(facts, _swaps_of(request, facts)).opening.format(with_colours) + "."


def long_caption(request: Request) -> str:
    """Return RECAP's long caption: all that is known, in up to four sentences that begin as the short one does."""
    facts = facts_of(request)
    layout = _layout_of(facts, _swaps_of(request, facts))
    colours = _colours_to_mention(facts, len(facts.colours))
    whole = replace(layout, colour_positions=colours, tag_positions=_tags_to_mention(facts), has_shape=True)
    return _worded(facts, whole)


_ANSWERS: Final[Mapping[str, Callable[[Request], str | None]]] = {
    "describe": _description,
    SHORT: short_caption,
    LONG: long_caption,
}
"""Name of the task to what answers it."""


def _swaps_of(request: Request, facts: Facts) -> Swaps:
    said = clean_for_prompt(" ".join([request.alt_text, *request.web_tags]), max_chars=_MAX_SAID_CHARS).lower()
    return Swaps(request.sample_id, said, facts)


def _short_positive(facts: Facts) -> list[str]:
    named = [word for word in WORD.findall(facts.subject.lower()) if (c := concept_of(word)) and c.level == "thing"]
    tags = list(dict.fromkeys([*named, *facts.tags]))[:_MAX_WEB_TAGS]
    return list(dict.fromkeys([*tags, *facts.colours]))[:_MAX_TAGS] or [f"{facts.shape} picture"]


def _layout_of(facts: Facts, swaps: Swaps) -> _Layout:
    def one_of(texts: Sequence[str], purpose: str) -> str:
        return texts[int(draw(swaps.sample_id, purpose) * len(texts))]

    main = swaps.main_concept
    is_named = main is not None and any(concept_of(word) == main for word in WORD.findall(facts.subject.lower()))
    needs_tags = not is_named or draw(swaps.sample_id, "tags shown") < 0.5
    return _Layout(
        opening=one_of(_OPENINGS, "opening"),
        colours=one_of(_COLOURS, "colours"),
        tags=one_of(_TAGS, "tags"),
        shape=one_of(_SHAPES, "shape clause"),
        nameless=one_of(_NAMELESS, "nameless"),
        colour_positions=_colours_to_mention(facts, 1 if draw(swaps.sample_id, "colour count") < 0.5 else 2),
        tag_positions=_tags_to_mention(facts) if needs_tags else (),
        has_shape=draw(swaps.sample_id, "shape shown") < 0.25 or not (facts.subject or facts.tags or facts.colours),
    )


def _colours_to_mention(facts: Facts, count: int) -> tuple[int, ...]:
    return tuple(facts.colours.index(colour) for colour in colourful_first(facts.colours)[:count])


def _tags_to_mention(facts: Facts) -> tuple[int, ...]:
    """Return the positions of the first tags that add a word to the subject and to each other."""
    said = _stems(facts.subject.lower())
    fresh: list[int] = []
    for position, tag in enumerate(facts.tags):
        if not _stems(tag) <= said:
            fresh.append(position)
            said |= _stems(tag)
    fresh = fresh[:_MAX_TAGS_IN_TEXT]
    tags = [facts.tags[position] for position in fresh]
    # A first tag that is too long comes back cut: it is left out, as only whole tags are tags.
    fitting = sum(one == tag for one, tag in zip(words_within(tags, _MAX_TAG_TOKENS), tags, strict=False))
    return tuple(fresh[:fitting])


def _stems(text: str) -> set[str]:
    return {word.removesuffix("s") for word in WORD.findall(text)}


def _worded(facts: Facts, layout: _Layout) -> str:
    """Return one to four short sentences: about 50 words and below CLIP's 77 tokens at the most."""
    colours = [facts.colours[position] for position in layout.colour_positions]
    tags = [facts.tags[position] for position in layout.tag_positions]
    text = layout.opening.format(facts.subject or layout.nameless)
    one = {"s": "", "are": "is"} if len(colours) == 1 else {"s": "s", "are": "are"}
    text += layout.colours.format(_listed(colours), **one) if colours else "."
    text += layout.tags.format(_listed(tags)) if tags else ""
    text += layout.shape.format(facts.shape) if layout.has_shape else ""
    return text


def _listed(items: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))
