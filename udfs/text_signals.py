"""What can be measured of an alt-text without a model. Every pattern takes time linear in the text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html.entities import html5
from typing import Final

_EXTENSIONS = "jpe?g|png|gif|webp|bmp|tiff?|svg|heic|avif|ico|psd|eps|raw|cr2|nef"
_CAMERAS = "img|image|dsc[fn]?|pict?|photo|picture|scan|untitled|screen ?shot"
_FILE_NAME: Final = re.compile(rf"[^\s]+(?: [^\s]+){{0,3}}\.(?:{_EXTENSIONS})", re.IGNORECASE)
_CAMERA_NAME: Final = re.compile(
    rf"(?:{_CAMERAS})[ _-]?\(?\d[\d _().-]*[a-z]?|(?:p|pxl|mvi|wp|gopr|cimg)[_-]?\d{{4}}[\d_-]*|\d{{8}}[ _-]\d{{4,}}",
    re.IGNORECASE,
)

_TOP_LEVEL = "com|org|net|info|biz|io|co|edu|gov|de|uk|fr|it|es|nl|ru|jp|cn|br|pl|eu|us|ca|au|in|me|tv|shop|online|site"
# A label starts only where no name is under way: without that, a long run of letters costs its square.
_URL: Final = re.compile(
    rf"(?:https?|ftp)://\S|\bwww\.\w|(?<![\w@.-])(?:[a-z0-9-]{{1,63}}\.){{1,5}}(?:{_TOP_LEVEL})(?![\w@.-]*@|[\w-])",
    re.IGNORECASE,
)
_EMAIL: Final = re.compile(r"[\w.+-]@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,5}\.[a-z]{2,24}\b", re.IGNORECASE)
_TAGS = (
    "a|abbr|b|big|blockquote|body|br|center|code|div|em|embed|figcaption|figure|font|form|h[1-6]|head|hr|html|i|iframe|"
    "img|input|label|li|link|meta|object|ol|p|pre|s|script|section|small|span|strike|strong|style|sub|sup|svg|table|"
    "tbody|td|th|title|tr|u|ul|video"
)
_TAG: Final = re.compile(rf"</?(?:{_TAGS})(?:\s[^<>]*)?/?>|<!--", re.IGNORECASE)
_ENTITY: Final = re.compile(r"&(#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,30});", re.IGNORECASE)
_EDGES: Final = ".,;:!?\"'()[]{}«»\u201c\u201d\u2018\u2019\u2026-_*#"


@dataclass(frozen=True)
class TextSignals:
    """The text columns of silver.signals but for the language."""

    words: int
    chars: int
    repetition: float
    is_file_name: bool
    has_url: bool
    has_email: bool
    has_html: bool


def text_signals(texts: Sequence[str]) -> list[TextSignals]:
    """Return what is measured of each text, in order."""
    return [_measured(text) for text in texts]


def _measured(text: str) -> TextSignals:
    words = text.split()
    return TextSignals(
        words=len(words),
        chars=len(text.strip()),
        repetition=repetition(words),
        is_file_name=is_file_name(text),
        has_url=_URL.search(text) is not None,
        has_email="@" in text and _EMAIL.search(text) is not None,
        has_html=has_html(text),
    )


def repetition(words: Sequence[str]) -> float:
    """Return the share of ``words`` that repeat an earlier one, whatever their case and the punctuation around them.

    >>> repetition(["Red", "car,", "red", "CAR"])
    0.5
    """
    if not words:
        return 0.0
    return 1 - len({word.strip(_EDGES).casefold() or word for word in words}) / len(words)


def is_file_name(text: str) -> bool:
    """Say whether ``text`` as a whole is what a file is called: up to four words with an extension, or a camera's name.

    >>> [is_file_name(text) for text in ("IMG_1234.jpg", "DSC-0012", "my cat.png", "Route 66", "a red car")]
    [True, True, True, False, False]
    """
    name = text.strip()
    return len(name) <= 255 and bool(_FILE_NAME.fullmatch(name) or _CAMERA_NAME.fullmatch(name))


def has_html(text: str) -> bool:
    """Say whether ``text`` holds a known tag, a comment or a character reference.

    >>> [has_html(text) for text in ("fish &amp; chips", "<b>bold</b>", "AT&T; R&D", "I <3 you", "<PERSON> smiles")]
    [True, True, False, False, False]
    """
    if "<" in text and _TAG.search(text):
        return True
    return any(name.startswith("#") or f"{name};" in html5 for name in _ENTITY.findall(text))
