"""Models side by side: what was measured of both, who is promoted, and where their texts differ most."""

from collections.abc import Sequence
from itertools import groupby

from udfs.comparison import SIDES
from udfs.comparison_figures import figures_of, sentences_of
from udfs.report.gallery import chips, differences
from udfs.report.html import Html, join, outside, tag
from udfs.report.values import Report, Row, Section, head, number_cell, row_head, sql_of, table


def comparison_section(report: Report) -> Section:
    """Return the newest comparisons, each with the samples on which the two differ most, and who is promoted."""
    title = "Models side by side"
    metrics, examples, promotions = (report.answer(name) for name in ("comparisons", "compared", "promotions"))
    if not metrics.rows:
        nothing = tag("p", "Nothing was compared yet: compare_captions does that.", class_="muted")
        return Section("comparison", title, nothing)
    made = {name: list(rows) for name, rows in groupby(metrics.rows, key=lambda row: row["checkpoint"])}
    shown = {name: list(rows) for name, rows in groupby(examples.rows, key=lambda row: row["comparison"])}
    parts = [_comparison(report, rows, shown.get(name, [])) for name, rows in made.items()]
    return Section(
        "comparison", title, join([_promotion(promotions.rows), *parts, sql_of(metrics, examples, promotions)])
    )


def _promotion(rows: Sequence[Row]) -> Html:
    if not rows:
        return tag("p", "Nobody is promoted: publish_gold takes whose texts it is told to.", class_="soft")
    newest = rows[0]
    who = join([tag("b", outside(newest["model"], 120)), " with ", outside(newest["prompt"], 60)])
    when = f" since {newest['promoted_at']:%Y-%m-%d %H:%M} UTC: "
    return tag("p", "Promoted is ", who, when, outside(newest["why"], 300))


def _comparison(report: Report, metrics: Sequence[Row], examples: Sequence[Row]) -> Html:
    values = {row["metric"]: row["value"] for row in metrics}
    about = metrics[0]
    heads = [head("Measured"), head("First", number=True), head("Second", number=True)]
    rows = [
        tag("tr", row_head(outside(one.name, 120)), number_cell(one.first), number_cell(one.second))
        for one in figures_of(values)
    ]
    return join(
        [
            tag("dl", *(_who(about, side) for side in SIDES), _scorer(about), class_="facts"),
            *(tag("p", sentence) for sentence in sentences_of(values)),
            table(heads, rows, caption="Figures of each; similarities are over the samples on which both were scored"),
            _examples(report, examples),
        ]
    )


def _who(about: Row, side: str) -> Html:
    prompt = join([" with ", outside(about[f"{side}_prompt"], 60)])
    return join([tag("dt", side.capitalize()), tag("dd", outside(about[f"{side}_model"], 160), prompt)])


def _scorer(about: Row) -> Html:
    return join([tag("dt", "Scored by"), tag("dd", outside(about["scorer"], 120) if about["scorer"] else "no one")])


def _examples(report: Report, rows: Sequence[Row]) -> Html | None:
    if not rows:
        return None
    by = "similarity" if any(row["first_similarity"] is not None for row in rows) else "words"
    words = f"The {len(rows)} samples on which the two differ most by {by}. What they word differently is marked."
    cards = tag("div", *(_card(report, row) for row in rows), class_="cards")
    return join([tag("h3", "Where they differ most"), tag("p", words, class_="soft"), cards])


def _card(report: Report, row: Row) -> Html:
    marked = differences(*(row[f"{side}_long_positive"] for side in SIDES))
    texts = [_side(row, side, text) for side, text in zip(SIDES, marked, strict=True)]
    return tag("article", report.picture(row["sample_id"]), tag("dl", *texts), class_="card")


def _side(row: Row, side: str, text: Html) -> Html:
    score, reason = row[f"{side}_similarity"], row[f"{side}_reason"]
    name = side.capitalize() + (f", similarity {score:.1f}" if score is not None else "")
    if reason is not None:
        shown = [tag("dd", "rejected: ", outside(reason.replace("_", " "), 60), class_="muted")]
    else:
        shown = [tag("dd", text), tag("dd", chips(row[f"{side}_short_positive"]))]
    return join([tag("dt", name), *shown])
