"""HTML that is safe by default: whatever is not ``Html`` already is cleaned and escaped when it enters an element."""

import html
import re
import unicodedata
from collections.abc import Iterable
from typing import Final

VOID: Final = frozenset({"br", "hr", "img", "link", "meta"})
"""Elements that have no content and no end tag."""

_JOINERS: Final = frozenset("\u200c\u200d")
"""Invisible, but Persian words and many emoji fall apart without them."""

_HARMLESS_URL: Final = re.compile(r"#[\w-]*|data:,|data:image/jpeg;base64,[A-Za-z0-9+/=]*", re.ASCII)
"""Links go within the page and images are in it: no other address ever stands in an attribute."""

_FORBIDDEN: Final = re.compile(r"on.*|style|srcdoc|srcset|action|formaction|ping|xlink.*", re.IGNORECASE)


_LOCAL_PART: Final = re.compile(r"[\w.+-]{1,64}@(?=\w)")
"""Who an e-mail address belongs to. A report is passed around: its galleries must not spread that."""


class Html(str):
    """Text that is HTML already. Adding a plain string to it gives a plain string, which will be escaped."""

    __slots__ = ()


def tag(element: str, /, *content: str | None, **attributes: str | float | bool | None) -> Html:
    """Return an element; content and attribute values that are not ``Html`` are cleaned and escaped.

    ``class_`` becomes ``class``, ``aria_label`` becomes ``aria-label``; an attribute of None or False is left out.
    Raises ValueError for an attribute that could run or load something: this is a bug, whatever the input.

    >>> tag("p", "1 < 2", tag("b", "so"), class_="a")
    '<p class="a">1 &lt; 2<b>so</b></p>'
    """
    inside = "".join(escape(part) for part in content if part is not None)
    start = f"<{element}{''.join(_attribute(key, value) for key, value in attributes.items())}>"
    return Html(start if element in VOID else f"{start}{inside}</{element}>")


def join(parts: Iterable[str | None], between: str = "") -> Html:
    """Return the parts one after the other, each escaped unless it is ``Html``."""
    return Html(escape(between).join(escape(part) for part in parts if part is not None))


def escape(text: str) -> Html:
    """Return ``text`` as HTML that shows it; ``Html`` stays as it is."""
    return text if isinstance(text, Html) else Html(html.escape(clean(text)))


def outside(text: str | None, most: int = 300) -> Html:
    """Return a text that others wrote, as ``one_line``, its direction kept to itself."""
    return tag("bdi", one_line(text, most))


def one_line(text: str | None, most: int = 300) -> str:
    """Return a text that others wrote on one line of at most ``most`` characters, without people's e-mail addresses.

    >>> one_line("write to  jane.doe@example.org\\nor call", 30)
    'write to …@example.org or call'
    """
    # Cut before and after: a pattern must not run over megabytes, and what it shortens leaves room.
    words = _LOCAL_PART.sub("…@", " ".join(clean((text or "")[: 4 * most]).split()))
    return words if len(words) <= most else words[: most - 1].rstrip() + "…"


def clean(text: str) -> str:
    r"""Return ``text`` without what is not seen but acts: control, direction and format characters, half a surrogate.

    >>> clean("safe\u202egpj.exe\x00")
    'safegpj.exe '
    """
    # Plain ASCII needs no look at each character; most texts are.
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_visible, text))


def _visible(char: str) -> str:
    if char in "\n\t" or char in _JOINERS:
        return char
    match unicodedata.category(char):
        case "Cc" | "Zl" | "Zp":
            return " "
        case "Cf":
            return ""
        case "Cs":
            return "\ufffd"
        case _:
            return char


def _attribute(key: str, value: str | float | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    if _FORBIDDEN.fullmatch(name):
        raise ValueError(f"attribute {name!r} could run or load something: expected another way to say it")
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    shown = f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else clean(str(value))
    if name in ("href", "src") and not _HARMLESS_URL.fullmatch(shown):
        raise ValueError(f"address {shown[:60]!r} in {name!r}: expected a place in the page or an image within it")
    return f' {name}="{html.escape(shown)}"'
