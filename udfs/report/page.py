"""The report as one HTML page: nothing outside it is loaded, and nothing in it runs."""

import base64
import hashlib
from collections.abc import Callable, Sequence
from typing import Final

from udfs.report.audit import audit_section
from udfs.report.comparison import comparison_section
from udfs.report.gallery import gallery_section, rejected_section
from udfs.report.html import Html, join, tag
from udfs.report.losses import losses_section
from udfs.report.measures import signals_section, texts_section
from udfs.report.overview import funnel_section, rejects_section, summary
from udfs.report.retrieval import retrieval_section
from udfs.report.runs import runs_section
from udfs.report.style import CSS
from udfs.report.suites import suites_section
from udfs.report.training import training_section
from udfs.report.values import Report, Section

SECTIONS: Final[Sequence[Callable[[Report], Section]]] = (
    funnel_section,
    rejects_section,
    signals_section,
    texts_section,
    gallery_section,
    rejected_section,
    audit_section,
    comparison_section,
    training_section,
    retrieval_section,
    suites_section,
    losses_section,
    runs_section,
)
"""The parts of the page, in order."""


def page(report: Report) -> str:
    """Return the whole page."""
    sections = [part(report) for part in SECTIONS]
    main = tag("main", *map(_section, sections))
    end = tag(
        "footer", tag("p", "Images and texts belong to their makers; licences stand with the pairs, where known.")
    )
    body = tag("body", tag("header", summary(report)), _navigation(sections), main, end)
    return f"<!doctype html>\n{tag('html', _head(), body, lang='en')}\n"


def _head() -> Html:
    # A style goes in by its hash and images by data: alone, so that even markup that slipped in could do nothing.
    policy = f"default-src 'none'; img-src data:; style-src '{_hash(CSS)}'; base-uri 'none'; form-action 'none'"
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", "Multigrain: report of a lake"),
        tag("link", rel="icon", href="data:,"),
        tag("style", Html(CSS)),
    )


def _hash(style: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")


def _navigation(sections: Sequence[Section]) -> Html:
    links = join(tag("li", tag("a", one.anchor.capitalize(), href=f"#{one.anchor}")) for one in sections)
    return tag("nav", tag("ul", links), aria_label="Parts of the report")


def _section(section: Section) -> Html:
    return tag("section", tag("h2", section.title), section.content, id=section.anchor)
