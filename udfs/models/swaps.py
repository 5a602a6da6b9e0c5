"""False statements that are close to true ones: a thing for another of its group, a colour for a different colour."""

import functools
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from udfs.models.concepts import Concept, concept_of, covered_by, is_plural, mates_of, plural_of, rank_of, things
from udfs.models.facts import SHAPES, WORD, Facts

# Colours that people might call by each other's names: a false colour is near to none that was measured.
_NEAR: Final[Mapping[str, str]] = {
    "red": "orange pink brown purple",
    "blue": "teal purple",
    "green": "teal",
    "yellow": "orange beige",
    "black": "grey brown",
    "white": "grey beige",
    "brown": "orange red black beige",
    "grey": "black white beige",
    "orange": "red yellow brown pink",
    "pink": "red purple orange",
    "purple": "blue pink red",
    "beige": "white yellow brown grey pink",
    "teal": "blue green",
}
_ACHROMATIC: Final = frozenset({"black", "white", "grey"})
_ARTICLE = re.compile(r"\b(a)n?(?= (\w))", re.IGNORECASE)
_DRAWS = 20
_BOTH = 0.5  # share of false descriptions with a false thing that have false colours as well

_Item = TypeVar("_Item")
_Chosen = Mapping[Concept, Concept]


@dataclass(frozen=True)
class Swaps:
    """What may stand in the place of what is said of one sample; every choice is a hash of the sample's id."""

    sample_id: str
    said: str
    """All that the web says of the sample, in lower case: nothing in it is ever used as false."""
    facts: Facts

    def falsified(self) -> Facts:
        """Return the facts with the main thing or the colours swapped; as they are where nothing false can be found."""
        # A subject of which nothing is known gives way to anything that is not said.
        stranger = None if self._chosen else next(self._strangers("subject"), None)
        return Facts(
            subject=stranger.name if stranger else _swapped(self.facts.subject, self._chosen),
            tags=tuple(_swapped(tag, self._chosen) for tag in self.facts.tags),
            colours=tuple(_swapped(colour, self._chosen) for colour in self.facts.colours),
            shape=self._shape(),
        )

    def false_tags(self, true_tags: Sequence[str]) -> list[str]:
        """Return a tag for each true one, of something that is not said of the sample; fewer if nothing is left."""
        false: list[str] = []
        for tag in true_tags:
            fresh = (name for name in self._false_tags(tag) if name not in {*false, *true_tags})
            false.extend(name for name in [next(fresh, None)] if name)
        return false

    @functools.cached_property
    def main_concept(self) -> Concept | None:
        """The thing that the sample is about: the first in subject and tags; a kind of thing if none is named."""
        texts = (self.facts.subject.lower(), *self.facts.tags)
        known = [concept for text in texts for word in WORD.findall(text) if (concept := concept_of(word))]
        named = [concept for concept in known if concept.level == "thing"]
        kinds = [concept for concept in known if concept.level == "kind"]
        return next(iter(named or kinds), None)

    @functools.cached_property
    def _chosen(self) -> dict[Concept, Concept]:
        """What a false description swaps: the main thing, or the colours, or both."""
        thing = self._thing
        if thing and (self._is_accepted(*thing) or not self._colours):
            return dict([thing]) | (self._colours if self._draw("both") < _BOTH else {})
        return self._colours

    @functools.cached_property
    def _thing(self) -> tuple[Concept, Concept] | None:
        mate = self._mate(self.main_concept) if self.main_concept else None
        return (self.main_concept, mate) if self.main_concept and mate else None

    def _is_accepted(self, true: Concept, false: Concept) -> bool:
        # The acceptance of Metropolis, for frequencies that fall as 1 / rank: then a thing is as frequent in false
        # texts as in true ones. If common things always gave way to rare ones, the words alone would tell.
        return self._draw("accept") < (1 + rank_of(true)) / (1 + rank_of(false))

    @functools.cached_property
    def _colours(self) -> dict[Concept, Concept]:
        """What a false description makes of the colours: black, white and grey stay where there is another."""
        chromatic = {true: false for true, false in self._false_colours.items() if true.name not in _ACHROMATIC}
        return chromatic or self._false_colours

    @functools.cached_property
    def _false_colours(self) -> dict[Concept, Concept]:
        """A colour that is near to none of the measured ones for each of them, as far as there are enough."""
        chosen: dict[Concept, Concept] = {}
        # In the order in which a text mentions them, should there be fewer false colours than true ones.
        for colour in filter(None, map(concept_of, colourful_first(self.facts.colours))):
            free = [mate for mate in self._free_mates(colour) if mate not in chosen.values()]
            if free:
                chosen[colour] = _common_first(free, self.sample_id, f"colour {colour.name}")
        return chosen

    def _free_mates(self, concept: Concept) -> list[Concept]:
        shown = {near for colour in self.facts.colours for near in (colour, *_NEAR.get(colour, "").split())}
        return [mate for mate in mates_of(concept) if mate.name not in shown and not self._is_said(mate)]

    def _draw(self, purpose: str) -> float:
        return draw(self.sample_id, purpose)

    def _mate(self, concept: Concept) -> Concept | None:
        free = self._free_mates(concept)
        return free[int(self._draw(f"mate of {concept.name}") * len(free))] if free else None

    def _false_tags(self, tag: str) -> Iterator[str]:
        known = [concept for word in WORD.findall(tag) if (concept := concept_of(word))]
        others = {concept: mate for concept in known if (mate := self._mate(concept))}
        if (swapped := _swapped(tag, others | self._false_colours | self._chosen)) != tag:
            yield swapped
        yield from (stranger.name for stranger in self._strangers(tag))

    def _strangers(self, purpose: str) -> Iterator[Concept]:
        """Yield things that are not said of the sample, from groups in the order of a hash."""
        for attempt in range(_DRAWS):
            members = things()[int(self._draw(f"{attempt} group {purpose}") * len(things()))]
            free = [concept for concept in members if not self._is_said(concept)]
            if free and free[0].group not in self._covered:
                yield _common_first(free, self.sample_id, f"{attempt} thing {purpose}")

    def _is_said(self, concept: Concept) -> bool:
        """Whether the web speaks of the concept: by any of its words, in any number, also inside another word."""
        is_inside = any(word in concept.name for word in self._words if len(word) > 3)
        return is_inside or any(form in self.said for form in concept.forms)

    @functools.cached_property
    def _words(self) -> frozenset[str]:
        return frozenset(WORD.findall(self.said))

    @functools.cached_property
    def _covered(self) -> frozenset[str]:
        kinds = (concept for word in self._words if (concept := concept_of(word)))
        return frozenset(group for kind in kinds for group in covered_by(kind))

    def _shape(self) -> str:
        others = [shape for shape in SHAPES if shape != self.facts.shape]
        if self._draw("keep shape") < 0.5:
            return self.facts.shape
        return others[int(self._draw("shape") * len(others))]


def colourful_first(colours: Sequence[str]) -> list[str]:
    """Return ``colours`` with black, white and grey last: they are outlines and paper more often than not."""
    return sorted(colours, key=lambda colour: colour in _ACHROMATIC)


def draw(sample_id: str, purpose: str) -> float:
    """Return a number from 0 up to 1 that looks random and depends on nothing else."""
    digest = hashlib.sha256(f"{purpose}\0{sample_id}".encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:6]) / 2**48


def _common_first(items: Sequence[_Item], sample_id: str, purpose: str) -> _Item:
    # Squared, so that false texts prefer common things as true ones do: else rare words would give them away.
    return items[int(draw(sample_id, purpose) ** 2 * len(items))]


def _swapped(text: str, chosen: _Chosen) -> str:
    swapped = WORD.sub(lambda match: _swapped_word(match.group(), chosen), text)
    return text if swapped == text else _ARTICLE.sub(_article, swapped)


def _swapped_word(word: str, chosen: _Chosen) -> str:
    concept = concept_of(word.lower())
    if concept is None or concept not in chosen:
        return word
    name = chosen[concept].name
    return _in_case_of(word, plural_of(name) if is_plural(word.lower(), concept) else name)


def _in_case_of(word: str, name: str) -> str:
    if word.isupper() and len(word) > 1:
        return name.upper()
    return name.capitalize() if word[0].isupper() else name


def _article(match: re.Match[str]) -> str:
    return match[1] + ("n" if match[2].lower() in "aeio" else "")
