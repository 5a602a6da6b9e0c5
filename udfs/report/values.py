"""What the report is made of: answers of the lake, thumbnails and trainings, as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from udfs.report.html import Html, join, one_line, tag
from udfs.report.thumbnails import picture

Row = Mapping[str, Any]
"""One row of an answer, by column."""

MADE_BY: Final[Mapping[str, str]] = {
    "bronze.pairs": "ingest_pairs",
    "silver.signals": "measure_pairs",
    "silver.responses": "describe_images",
    "gold.captions": "publish_gold",
    "gold.tags": "build_vocabulary",
    "gold.releases": "release_training",
    "gold.evaluations": "evaluate_clip",
    "gold.audit_counts": "audit_captions",
    "gold.comparisons": "compare_captions",
    "gold.promotions": "compare_captions",
}
"""Table -> the job that fills it, where one job alone does."""


@dataclass(frozen=True)
class Answer:
    """The rows that a question gave, with the SQL that gives them again; no rows where tables are ``missing``."""

    rows: Sequence[Row] = ()
    sql: str = ""
    missing: tuple[str, ...] = ()

    @property
    def excuse(self) -> Html | None:
        """Return the sentence that stands in place of the answer; None where there is one."""
        if not self.missing:
            return None
        table = self.missing[0]
        advice = f": {MADE_BY[table]} makes it" if table in MADE_BY else ""
        return tag("p", f"Left out, as {table} is not there yet{advice}.", class_="muted")


@dataclass(frozen=True)
class Thumbnail:
    """A pair as the report shows it: a small JPEG, null where the image cannot be read, and the pair's alt-text."""

    image: bytes | None
    alt_text: str
    width: int
    height: int


@dataclass(frozen=True)
class Training:
    """A finished training run: what train_clip wrote of it and, if it was evaluated, what evaluate_clip found."""

    name: str
    facts: Row
    retrieval: Row = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """Everything that the page shows; ``answers`` go by the names in ``udfs.report.queries.QUERIES``."""

    lake: str
    selection: str
    code_version: str
    made_at: datetime
    answers: Mapping[str, Answer]
    thumbnails: Mapping[str, Thumbnail]
    trainings: Sequence[Training] = ()

    def answer(self, name: str) -> Answer:
        """Return the answer called ``name``."""
        return self.answers[name]

    def picture(self, sample_id: str | None, *, frame: str = "", role: str = "") -> Html:
        """Return the image of a pair as an element; ``role`` says what it does here, for those who cannot see it."""
        found = self.thumbnails.get(sample_id or "")
        if found is None:
            return picture(None, "", frame=frame)
        return picture(
            found.image, ": ".join(part for part in (role, one_line(found.alt_text, 150)) if part), frame=frame
        )


@dataclass(frozen=True)
class Section:
    """A part of the page."""

    anchor: str
    title: str
    content: Html


def sql_of(*answers: Answer) -> Html | None:
    """Return the SQL behind a figure, folded away."""
    shown = [tag("pre", tag("code", answer.sql)) for answer in answers if answer.sql and not answer.missing]
    return tag("details", tag("summary", "SQL that gives these figures"), *shown) if shown else None


def table(heads: Sequence[Html], rows: Sequence[Html], *, caption: str | None = None, style: str | None = None) -> Html:
    """Return a table that scrolls within itself where it is too wide; with style ``noted`` it folds on a phone."""
    title = None if caption is None else tag("caption", caption)
    whole = tag("table", title, tag("thead", tag("tr", *heads)), tag("tbody", *rows), class_=style)
    return tag("div", whole, class_="wide")


def head(text: str, *, number: bool = False) -> Html:
    """Return the head of a column; a column of bars needs none, as the numbers stand beside it."""
    if not text:
        return tag("td")
    return tag("th", text, scope="col", class_="num" if number else None)


def number_cell(text: str, *, best: bool = False) -> Html:
    """Return a cell with a number in it."""
    return tag("td", text, class_="num best" if best else "num")


def row_head(*content: str) -> Html:
    """Return the cell that says what a row is about."""
    return tag("th", join(content), scope="row")
