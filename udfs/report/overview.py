"""The head of the report: key figures, the funnel from source to release, and why pairs were turned away."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from udfs.reasons import REASONS
from udfs.report.charts import bar
from udfs.report.html import Html, join, outside, tag
from udfs.report.numbers import count, duration, money, share
from udfs.report.values import Report, Row, Section, head, number_cell, row_head, sql_of, table


@dataclass(frozen=True)
class Stage:
    """A stage of the funnel: how many pairs reached it, and what stopped the others."""

    name: str
    pairs: int
    stopped: str = ""


@dataclass(frozen=True)
class Funnel:
    """Pairs by how far they came; ``released`` is None where there is no release."""

    rejected_at_ingest: int
    pairs: int
    duplicates: int
    selected: int
    rejected_at_selection: int
    described: int
    published: int
    released: int | None = None

    @property
    def read(self) -> int:
        """Return how many pairs and parts of pairs the sources gave."""
        return self.pairs + self.rejected_at_ingest

    @property
    def rejected(self) -> int:
        """Return how many were turned away before captioning."""
        return self.rejected_at_ingest + self.rejected_at_selection

    @property
    def unaccounted(self) -> int:
        """Return how many were read but neither selected nor rejected: 0 once every pair was judged."""
        return self.read - self.selected - self.rejected

    @property
    def stages(self) -> list[Stage]:
        """Return the stages in order."""
        by_filter = self.rejected_at_selection - self.duplicates
        return [
            Stage("Read from the sources", self.read),
            Stage("In bronze", self.pairs, f"{count(self.rejected_at_ingest)} turned away at ingest"),
            Stage("Through the filter", self.selected + self.duplicates, f"{count(by_filter)} stopped by the filter"),
            Stage("Selected", self.selected, f"{count(self.duplicates)} repeat a pair that stays"),
            Stage("Described", self.described, _behind(self.selected, self.described, "described")),
            Stage("Published", self.published, _behind(self.described, self.published, "published")),
            *([] if self.released is None else [Stage("Released", self.released)]),
        ]


def _behind(before: int, now: int, what: str) -> str:
    return f"{count(before - now)} not {what}" if now < before else ""


def funnel_of(report: Report) -> Funnel | None:
    """Return the funnel; None for a lake into which nothing was ingested."""
    rows = report.answer("funnel").rows
    if not rows:
        return None
    newest = _newest_release(report)
    return Funnel(**rows[0], released=None if newest is None else newest["train_rows"] + newest["held_out_rows"])


def _newest_release(report: Report) -> Row | None:
    rows = report.answer("releases").rows
    return rows[0] if rows else None


def summary(report: Report) -> Html:
    """Return the top of the page: what this is, and the figures that one would tell first."""
    made = f"Made {report.made_at:%Y-%m-%d %H:%M} UTC with version {report.code_version}; selection "
    return join(
        [
            tag("h1", "Multigrain: report of a lake"),
            tag("p", made, tag("b", report.selection), class_="soft"),
            tag("dl", tag("dt", "Lake"), tag("dd", tag("code", report.lake)), *_release_facts(report), class_="facts"),
            tag("div", *(_tile(value, name) for value, name in _tiles(report)), class_="tiles"),
        ]
    )


def _release_facts(report: Report) -> list[Html]:
    newest = _newest_release(report)
    if newest is None:
        return [tag("dt", "Release"), tag("dd", "none yet")]
    rows = f", {count(newest['train_rows'])} rows to train on and {count(newest['held_out_rows'])} held out"
    version = f" (version {newest['table_version']} of {newest['table_name']})"
    return [
        tag("dt", "Newest release"),
        tag("dd", tag("b", newest["release"]), rows, version),
        tag("dt", "Digest of its ids"),
        tag("dd", tag("code", newest["digest"])),
        tag("dt", "Mix of texts"),
        tag("dd", tag("code", newest["mix"]), "; negatives ", tag("code", newest["negatives"])),
    ]


def _tile(value: str, name: str) -> Html:
    return tag("div", tag("b", value), tag("span", name), class_="tile")


def _tiles(report: Report) -> list[tuple[str, str]]:
    tiles = []
    funnel = funnel_of(report)
    if funnel is not None:
        tiles += [
            (count(funnel.read), "pairs read"),
            (count(funnel.selected), f"selected ({share(funnel.selected, funnel.read)})"),
            (count(4 * funnel.described), "texts written, four a pair"),
        ]
        tiles += [] if funnel.released is None else [(count(funnel.released), "rows in the release")]
    tiles += [(count(row["tags"]), "tags in the vocabulary") for row in report.answer("vocabulary").rows]
    runs = report.answer("runs").rows
    if runs:
        tiles.append((duration(sum(row["seconds"] for row in runs)), "in all jobs"))
        tiles.append((money(sum(row["cost_usd"] or 0 for row in report.answer("answers").rows)), "paid to models"))
    found = [row for row in report.answer("evaluations").rows if row["metric"] == "text_to_image_r10"]
    return tiles if not found else [*tiles, _best(max(found, key=lambda row: row["value"]))]


def _best(row: Row) -> tuple[str, str]:
    chance = share(min(10, row["n"]), row["n"])
    return share(row["value"], 1), f"of texts find their image in ten (chance {chance})"


def funnel_section(report: Report) -> Section:
    """Return how many pairs reached each stage, and whether the counts add up."""
    answer = report.answer("funnel")
    funnel = funnel_of(report)
    if funnel is None:
        content = answer.excuse or tag("p", "Nothing was ingested yet.")
    else:
        heads = [
            head("Stage"),
            head("Pairs", number=True),
            head("Of those read", number=True),
            head(""),
            head("Stopped before"),
        ]
        rows = [_stage_row(stage, funnel.read) for stage in funnel.stages]
        figures = table(heads, rows, caption="Pairs by how far they came", style="noted")
        content = join([_audit(funnel), figures, sql_of(answer, report.answer("releases"))])
    return Section("funnel", "From source to release", content)


def _stage_row(stage: Stage, read: int) -> Html:
    return tag(
        "tr",
        row_head(stage.name),
        number_cell(count(stage.pairs)),
        number_cell(share(stage.pairs, read)),
        tag("td", bar(stage.pairs, read), class_="bars"),
        tag("td", stage.stopped, class_="soft"),
    )


def _audit(funnel: Funnel) -> Html:
    parts = f"{count(funnel.read)} read = {count(funnel.selected)} selected + {count(funnel.rejected)} rejected"
    if funnel.unaccounted == 0:
        return tag("p", tag("span", "✓ adds up: ", class_="ok"), parts)
    if funnel.unaccounted > 0:
        waiting = f"{parts} + {count(funnel.unaccounted)} not judged yet (select_pairs does that)"
        return tag("p", tag("span", "in progress: ", class_="ok"), waiting)
    more = f"{parts} does not hold: {count(-funnel.unaccounted)} more came out than went in"
    return tag("p", tag("span", "✗ does not add up: ", class_="wrong"), more)


def rejects_section(report: Report) -> Section:
    """Return why pairs were turned away, stage by stage."""
    answer = report.answer("rejects")
    funnel = funnel_of(report)
    if not answer.rows:
        return Section("reasons", "Turned away", answer.excuse or tag("p", "Nothing was turned away."))
    read = funnel.read if funnel else 0
    most = max(row["n"] for row in answer.rows)
    stages = groupby(answer.rows, key=lambda row: row["stage"])
    rows = [row for stage, found in stages for row in _stage_rows(stage, list(found), most, read)]
    heads = [
        head("Reason"),
        head("Rows", number=True),
        head("Of those read", number=True),
        head(""),
        head("What it means"),
    ]
    words = "A row that is turned away is kept, with one reason from a closed list: the first that speaks against it."
    figures = table(heads, rows, caption="Rows of ops.rejects by stage and reason", style="noted")
    return Section("reasons", "Turned away", join([tag("p", words, class_="soft"), figures, sql_of(answer)]))


def _stage_rows(stage: str, rows: Sequence[Row], most: int, read: int) -> list[Html]:
    total = sum(row["n"] for row in rows)
    title = tag("th", outside(stage), f": {count(total)}", colspan=5, scope="colgroup")
    return [tag("tr", title, class_="group"), *(_reason_row(row, most, read) for row in rows)]


def _reason_row(row: Row, most: int, read: int) -> Html:
    return tag(
        "tr",
        row_head(outside(row["reason"].replace("_", " "))),
        number_cell(count(row["n"])),
        number_cell(share(row["n"], read)),
        tag("td", bar(row["n"], most, style=2), class_="bars"),
        tag("td", REASONS.get(row["reason"], "not in the list of reasons"), class_="soft"),
    )
