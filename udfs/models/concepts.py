"""Common things that pictures show, in groups whose members exclude each other: what a false description swaps."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

# A group a line, the most common first. Behind a slash: other words for the same thing, known but never written.
# Members must exclude each other on one object (a duck is no owl), and must not stand in most pictures ("hand", "sky").
_THINGS: Final[Mapping[str, str]] = {
    "bird": (
        "duck/duckling owl penguin/tux eagle/falcon/hawk parrot chicken/hen/rooster/chick swan pigeon/dove "
        "crow/raven flamingo ostrich peacock goose sparrow/robin turkey seagull/gull"
    ),
    "mammal": (
        "dog/puppy/hound/bulldog/terrier cat/kitten/kitty/feline horse/pony/foal/stallion bear/panda "
        "rabbit/bunny/hare mouse/rat cow/bull/ox/calf pig/hog/piglet elephant monkey/ape/gorilla lion sheep/lamb "
        "tiger deer/elk/moose/reindeer fox wolf goat giraffe zebra kangaroo squirrel/chipmunk camel bat"
    ),
    "sea animal": (
        "dolphin/orca whale shark crab lobster/crawfish/crayfish octopus/squid turtle/tortoise seahorse starfish "
        "jellyfish"
    ),
    "reptile": "dinosaur/dino snake frog/toad lizard/gecko crocodile/alligator dragon",
    "insect": (
        "butterfly/moth bee/wasp/bumblebee spider ladybug/ladybird ant beetle mosquito dragonfly "
        "grasshopper snail caterpillar/worm"
    ),
    "fruit": "apple banana strawberry lemon/lime cherry pear grape pineapple watermelon/melon peach coconut mango",
    "vegetable": (
        "tomato carrot potato pumpkin corn/maize onion pepper/chili mushroom cucumber broccoli lettuce/cabbage "
        "garlic eggplant/aubergine bean/pea"
    ),
    "dish": (
        "cake/cupcake pizza burger/hamburger/cheeseburger bread/loaf/toast cookie/biscuit sandwich pie/tart "
        "donut/doughnut cheese muffin egg soup sausage/hotdog/frankfurter pancake/waffle chocolate popcorn "
        "icecream/sundae candy/lollipop bacon pretzel"
    ),
    "drink": "coffee/espresso/cappuccino wine beer tea juice milk soda/cola/lemonade cocktail/martini",
    "vehicle": (
        "car/automobile/sedan/hummer bicycle/bike/cyclist truck/lorry/van bus train/locomotive "
        "airplane/aeroplane/plane/jet/aircraft boat/ship/sailboat/yacht/ferry motorcycle/motorbike/scooter "
        "helicopter tractor rocket/spaceship/shuttle tank submarine sled/sleigh ambulance taxi/cab"
    ),
    "building": (
        "house/home/cottage church/cathedral/chapel castle/palace/fortress bridge tower/skyscraper school "
        "barn/farmhouse lighthouse hotel/motel windmill/mill factory temple/pagoda/mosque hospital igloo pyramid "
        "tent"
    ),
    "furniture": (
        "chair/armchair/stool table/desk bed sofa/couch lamp/lantern shelf/bookcase/bookshelf bathtub/bath door "
        "window mirror cabinet/cupboard/wardrobe fence/gate"
    ),
    "person": "man/guy/gentleman woman/lady girl boy baby/infant/toddler",
    "role": (
        "doctor/physician king queen/princess soldier/warrior/knight teacher/professor cook/chef/baker pirate "
        "clown/jester angel farmer dancer/ballerina witch/wizard/magician cowboy policeman/cop "
        "fireman/firefighter nurse ghost/vampire/zombie/monster robot/android skeleton/skull mermaid/fairy"
    ),
    "plant": (
        "rose tree/oak/pine/palm/fir cactus tulip sunflower daisy lily/lotus/magnolia fern/ivy grass/bamboo "
        "leaf/clover/shamrock"
    ),
    "tool": (
        "hammer scissors/scissor wrench/spanner chainsaw screwdriver axe/hatchet shovel/spade ladder drill "
        "paintbrush/brush broom/mop bucket/pail nail/screw/bolt rope/knot anchor"
    ),
    "weapon": (
        "sword/sabre/dagger gun/pistol/rifle/revolver cannon bomb/grenade spear/lance shield/armour/armor "
        "bullet/bullethole arrowhead/bow"
    ),
    "kitchenware": "cup/mug bottle/flask spoon fork knife pot/pan/saucepan/kettle bowl jar plate basket",
    "device": (
        "computer/laptop/pc phone/telephone/cellphone/smartphone camera/camcorder television/tv clock/watch/alarm "
        "printer/scanner monitor/screen/display keyboard/joystick radio/stereo battery calculator "
        "headphone/headset/earphone microphone antenna/satellite lightbulb/bulb server/router/modem "
        "speaker/loudspeaker cassette/vhs/videotape telescope/microscope"
    ),
    "stationery": (
        "book/textbook/notebook pen/pencil/crayon envelope/letter scroll/parchment newspaper/magazine "
        "folder/binder calendar paperclip eraser stamp ruler"
    ),
    "shape": (
        "star circle/ring/disc/disk square heart triangle diamond arrow cross spiral oval/ellipse hexagon "
        "rectangle crescent octagon/pentagon"
    ),
    "clothing": (
        "hat/cap/helmet shirt/tshirt/blouse shoe/boot/sneaker/sandal dress/gown/skirt jacket/coat/sweater "
        "glove/mitten sock/stocking/pantyhose tie/necktie trousers/pants/jeans glasses/sunglasses/spectacles "
        "scarf belt crown umbrella/parasol bag/handbag/purse/backpack/suitcase"
    ),
    "weather": (
        "sun/sunshine/sunny cloud/cloudy rain/rainy/raindrop snow/snowflake/snowy moon/lunar "
        "lightning/thunder/thunderstorm rainbow tornado/hurricane fog/mist fire/flame"
    ),
    "landscape": (
        "beach/shore/coast mountain/hill/peak forest/woods/jungle island river/stream desert/dune lake/pond "
        "volcano waterfall cave field/meadow city/town/skyline road/street/highway"
    ),
    "instrument": (
        "guitar piano drum violin/fiddle/cello trumpet/bugle flute/clarinet/recorder saxophone harp accordion "
        "bell trombone/tuba"
    ),
    "sport": (
        "football/soccer baseball tennis/racket basketball golf/golfer swimming/swimmer skiing/skier/ski cycling "
        "boxing/boxer hockey bowling fishing sailing running/runner yoga surfing/surfer chess "
        "billiard/billiards/snooker cricket archery/archer"
    ),
    "toy": "ball doll teddy kite balloon/baloon puzzle/jigsaw dice yoyo swing snowman",
    "thing": (
        "flag/banner map/atlas card key/padlock/lock gift/present candle globe coin/money trophy/medal wheel/gear mask"
    ),
    "holiday": "christmas/xmas/santa halloween easter birthday wedding valentine/valentines thanksgiving carnival",
    "country": (
        "france/french germany/german spain/spanish italy/italian canada/canadian japan/japanese china/chinese "
        "brazil/brazilian mexico/mexican australia/australian india/indian russia/russian sweden/swedish "
        "denmark/danish norway/norwegian poland/polish egypt/egyptian greece/greek ireland/irish argentina "
        "portugal/portuguese ukraine/ukrainian korea/korean cuba/cuban kenya finland/finnish"
    ),
    "continent": "europe/european africa/african asia/asian america/american oceania antarctica/arctic",
}

_KINDS: Final[Mapping[str, str]] = {
    "kind of animal": "insect/bug fish bird mammal reptile",
    "kind of food": "dessert drink/beverage fruit vegetable meat/steak/beef",
    "kind": (
        "people/person plant/flower tool/equipment sport/sports animal/pet/wildlife food/meal music/musical "
        "transport/transportation/vehicle building/architecture weapon clothing/clothes/apparel toy furniture"
    ),
}
"""Words for whole groups: swapped only where nothing more specific is known, so that a text does not fall apart."""

# Where a kind of thing is said, its members are not safely false: a picture of "people" may well show a woman.
_COVERED: Final[Mapping[str, str]] = {
    "bird": "bird",
    "fish": "sea animal",
    "insect": "insect",
    "mammal": "mammal",
    "reptile": "reptile",
    "fruit": "fruit",
    "vegetable": "vegetable",
    "dessert": "dish|fruit",
    "drink": "drink|kitchenware",
    "meat": "dish",
    "people": "person|role",
    "plant": "plant",
    "tool": "tool|device|stationery",
    "sport": "sport|toy",
    "animal": "bird|mammal|sea animal|reptile|insect",
    "food": "fruit|vegetable|dish|drink|kitchenware",
    "music": "instrument",
    "transport": "vehicle",
    "building": "building",
    "weapon": "weapon",
    "clothing": "clothing",
    "toy": "toy",
    "furniture": "furniture",
}

_COLOURS: Final[Mapping[str, str]] = {
    "colour": (
        "red/crimson/scarlet blue/navy green/olive yellow/gold black white brown grey/gray/silver orange "
        "pink/magenta purple/violet beige/cream teal/turquoise/cyan"
    ),
}

_PLURALS: Final[Mapping[str, str]] = {
    "man": "men",
    "woman": "women",
    "policeman": "policemen",
    "fireman": "firemen",
    "snowman": "snowmen",
    "mouse": "mice",
    "goose": "geese",
    "ox": "oxen",
    "sheep": "sheep",
    "deer": "deer",
    "fish": "fish",
    "starfish": "starfish",
    "jellyfish": "jellyfish",
    "leaf": "leaves",
    "wolf": "wolves",
    "knife": "knives",
    "shelf": "shelves",
    "loaf": "loaves",
    "calf": "calves",
    "scarf": "scarves",
    "tomato": "tomatoes",
    "potato": "potatoes",
    "mango": "mangoes",
    "volcano": "volcanoes",
    "tornado": "tornadoes",
    "cactus": "cacti",
    "dice": "dice",
    "scissors": "scissors",
    "trousers": "trousers",
    "pants": "pants",
    "jeans": "jeans",
    "glasses": "glasses",
    "people": "people",
    "clothing": "clothing",
    "clothes": "clothes",
    "apparel": "apparel",
    "furniture": "furniture",
    "music": "music",
    "equipment": "equipment",
    "bread": "bread",
    "rain": "rain",
    "snow": "snow",
    "fog": "fog",
    "grass": "grasses",
}


@dataclass(frozen=True)
class Concept:
    """One thing, colour or kind of thing, with the word we write for it and the words that we know it by."""

    level: str
    """thing, colour or kind."""
    group: str
    name: str
    words: tuple[str, ...]
    """In the singular, the name first."""

    @functools.cached_property
    def forms(self) -> frozenset[str]:
        """All words of the concept in singular and plural."""
        return frozenset(self.words) | {plural_of(word) for word in self.words}


def plural_of(word: str) -> str:
    """Return the plural of an English noun.

    >>> [plural_of(word) for word in ("duck", "fox", "cherry", "key", "mouse")]
    ['ducks', 'foxes', 'cherries', 'keys', 'mice']
    """
    if word in _PLURALS:
        return _PLURALS[word]
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return f"{word}es"
    if word.endswith("y") and word[-2:-1] not in tuple("aeiou"):
        return f"{word[:-1]}ies"
    return f"{word}s"


def concept_of(word: str) -> Concept | None:
    """Return what ``word``, in lower case and any number, stands for, if it is in the lists."""
    return _index().get(word)


def is_plural(word: str, concept: Concept) -> bool:
    """Return whether ``word`` speaks of several of ``concept``; a word with one form for both speaks of one."""
    return word not in concept.words


def mates_of(concept: Concept) -> tuple[Concept, ...]:
    """Return the concepts that could stand where ``concept`` stands, most common first: its group without itself."""
    return tuple(mate for mate in _groups()[concept.group] if mate != concept)


def rank_of(concept: Concept) -> int:
    """Return how common ``concept`` is within its group, 0 for the most common."""
    return _groups()[concept.group].index(concept)


def covered_by(concept: Concept) -> frozenset[str]:
    """Return the groups whose members may be meant where ``concept``, a kind of thing, is said; none for a thing."""
    groups = _COVERED.get(concept.name, "") if concept.level == "kind" else ""
    return frozenset(filter(None, groups.split("|")))


@functools.cache
def things() -> tuple[tuple[Concept, ...], ...]:
    """Return the groups of things, each with its members, most common first; no colours and no kinds of things."""
    return tuple(_groups()[group] for group in _THINGS)


@functools.cache
def _groups() -> Mapping[str, tuple[Concept, ...]]:
    levels = {"thing": _THINGS, "colour": _COLOURS, "kind": _KINDS}
    return {
        group: tuple(_concept(level, group, entry) for entry in entries.split())
        for level, lists in levels.items()
        for group, entries in lists.items()
    }


@functools.cache
def _index() -> Mapping[str, Concept]:
    index: dict[str, Concept] = {}
    for members in _groups().values():
        for concept in members:
            for form in concept.forms:
                index.setdefault(form, concept)  # the earlier group wins a word that two claim
    return index


def _concept(level: str, group: str, entry: str) -> Concept:
    words = tuple(entry.split("/"))
    return Concept(level, group, words[0], words)
