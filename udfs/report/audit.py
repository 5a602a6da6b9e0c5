"""The audit of the captions: what a reader without the image can tell, how hard the negatives are, what fits."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Final

from udfs.report.charts import Series, Tick, bar, histogram, legend
from udfs.report.html import Html, join, outside, tag
from udfs.report.numbers import count, share
from udfs.report.values import Report, Row, Section, head, number_cell, row_head, sql_of, table

MEASURES: Final[Mapping[str, tuple[str, str, str]]] = {
    "blind_auc": (
        "Told apart by a classifier that reads texts alone",
        "area under the curve; 0.5 is chance, and what negatives should come to",
        "—",
    ),
    "blind_paired": (
        "Negative told from its own positive",
        "share of pairs, by the same classifier; 0.5 is chance",
        "—",
    ),
    "length_auc": ("Negative is the longer one", "how likely, one of each taken at random; 0.5 is no tell", "—"),
    "length_difference": ("Words that a negative has more", "mean ± standard deviation", "—"),
    "jaccard": ("Words that both have, of all of theirs", "Jaccard; 1 is the same words", "0.39 and 0.34"),
    "edit_distance": ("Words to change, of the longer one's", "edit distance; 0 is the same text", "—"),
}
"""Metric without its length -> what it measures, how to read it, and HQ-CLIP's two published examples (long)."""

KINDS: Final[Mapping[str, tuple[str, str, str]]] = {
    "alt_text": ("Alt-text", "25.4 ± 4.3", "7.8"),
    "long_positive": ("Long positive", "29.0 ± 4.4", "8.4"),
    "short_positive": ("Short positives, joined", "—", "—"),
    "long_negative": ("Long negative", "20.7 ± 4.9", "0.5"),
    "short_negative": ("Short negatives, joined", "—", "—"),
}
"""Kind of text -> its name, and the similarity and rating that HQ-CLIP prints (figure 4: OpenAI's CLIP, GPT-4o)."""

COMPARED_WITH_PROMPTS: Final[Mapping[str, str]] = {
    "alt_text": "Alt-text",
    "long_positive": "Long positive",
    "recap_short": "RECAP, short",
    "recap_long": "RECAP, long",
}
"""Kind of text that is compared with the prompts that people type -> its name."""

PROMPTS: Final[Mapping[str, tuple[str, int]]] = {
    "length_distance": ("Words apart in length", 1),
    "vocabulary_overlap": ("Words in common", 3),
    "covered_words": ("Words of prompts covered", 3),
    "embedding_distance": ("Distance of embeddings", 4),
}
"""Metric without its kind of text -> its name, and the digits it is shown with."""

_HISTOGRAMS: Final = {"jaccard_long": "Long: words in common", "jaccard_short": "Short: words in common"}
_DATASETS: Final = 12
_PHRASES: Final = 12
_TICKS: Final = 6


def audit_section(report: Report) -> Section:
    """Return what the newest audits found, sample by sample and scorer by scorer."""
    title = "Audit of the captions"
    metrics, counts = report.answer("audit"), report.answer("audit_counts")
    if not metrics.rows:
        nothing = tag("p", "Nothing was audited yet: audit_captions does that.", class_="muted")
        return Section("audit", title, nothing)
    newest = list(dict.fromkeys(row["dataset"] for row in metrics.rows))[:_DATASETS]
    order = ("/judge/", "/similarity/", "/prompts/")
    datasets = sorted(newest, key=lambda name: [part in name for part in order])
    parts = [_audit(name, _of(metrics.rows, name), _of(counts.rows, name)) for name in datasets]
    return Section("audit", title, join([*parts, sql_of(metrics, counts)]))


def _of(rows: Sequence[Row], dataset: str) -> list[Row]:
    return [row for row in rows if row["dataset"] == dataset]


def _audit(name: str, metrics: Sequence[Row], counts: Sequence[Row]) -> Html:
    values = {row["metric"]: row for row in metrics}
    figures = {figure: list(rows) for figure, rows in groupby(counts, key=lambda row: row["figure"])}
    if "similarity_coverage" in values:
        return _similarity(name, values, figures)
    if "rating_coverage" in values:
        return _ratings(name, values, figures)
    if "user_prompts" in values:
        return _prompts(name, values, figures)
    words = (
        "A negative serves training only where the image is needed to see that it is false: what a classifier learns "
        "from the texts alone, a model learns too."
    )
    charts = [_chart(title, figures[one]) for one, title in _HISTOGRAMS.items() if one in figures]
    return join(
        [
            tag("p", words, class_="soft"),
            _measures(name, values),
            tag("div", *charts, class_="charts"),
            *(_giveaways(length, figures.get(f"giveaway_{length}", [])) for length in ("long", "short")),
        ]
    )


def _measures(name: str, values: Mapping[str, Row]) -> Html:
    heads = [head("Positives against negatives"), *(head(text, number=True) for text in ("Long", "Short"))]
    heads += [head("HQ-CLIP's examples", number=True), head("How to read it")]
    rows = [
        tag(
            "tr",
            row_head(words),
            *(number_cell(_measured(values, one, length, digits=3)) for length in ("long", "short")),
            number_cell(published),
            tag("td", reading, class_="soft"),
        )
        for one, (words, reading, published) in MEASURES.items()
    ]
    samples = max(row["n"] for row in values.values())
    caption = join([outside(name, 120), f": {count(samples)} samples. ± of the first line is the 95 % interval."])
    return table(heads, rows, caption=caption)


def _measured(values: Mapping[str, Row], metric: str, kind: str, *, digits: int) -> Html | str:
    """Return a metric with its interval, where it is one figure, or with its standard deviation, where it is a mean."""
    one, mean = f"{metric}_{kind}", f"{metric}_{kind}_mean"
    if one in values:
        return _with_spread(values[one], values.get(f"{metric}_ci95_{kind}"), digits)
    return _with_spread(values[mean], values.get(f"{metric}_{kind}_std"), digits) if mean in values else "—"


def _with_spread(row: Row, spread: Row | None, digits: int) -> Html:
    around = None if spread is None else tag("span", f" ± {spread['value']:.{digits}f}", class_="muted")
    return join([f"{row['value']:.{digits}f}", around])


def _giveaways(length: str, rows: Sequence[Row]) -> Html:
    title = tag("h3", f"Phrases that give {length} texts away")
    sides = (Series("in negatives", (), 2), Series("in positives", (), 1))
    if not rows:
        return join([title, tag("p", "None stands out from what chance would do.", class_="muted")])
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row["label"], {})[row["part"]] = row["n"]
    shown = list(found.items())[:_PHRASES]
    most = max(max(parts.values()) for _, parts in shown)
    heads = [head("Phrase"), *(head(one.name.capitalize(), number=True) for one in sides), head("")]
    return join([title, legend(sides), table(heads, [_giveaway_row(phrase, parts, most) for phrase, parts in shown])])


def _giveaway_row(phrase: str, parts: Mapping[str, int], most: int) -> Html:
    negatives, positives = parts.get("negative", 0), parts.get("positive", 0)
    bars = [bar(negatives, most, style=2), bar(positives, most)]
    numbers = [number_cell(count(negatives)), number_cell(count(positives))]
    return tag("tr", row_head(outside(phrase, 60)), *numbers, tag("td", *bars, class_="bars"))


def _similarity(name: str, values: Mapping[str, Row], figures: Mapping[str, Sequence[Row]]) -> Html:
    words = (
        "100 times the cosine between image and text. A scorer that was trained on these very texts flatters them, "
        "and one scorer's numbers say nothing of another's."
    )
    heads = [head("Text"), head("Similarity", number=True), head("HQ-CLIP's (figure 4)", number=True)]
    rows = [
        tag("tr", row_head(title), number_cell(_measured(values, "similarity", kind, digits=1)), number_cell(published))
        for kind, (title, published, _) in KINDS.items()
    ]
    covered = values["similarity_coverage"]
    caption = join([outside(name, 160), f": {count(covered['n'])} pairs, {share(covered['value'], 1)} of the sample"])
    counted = figures.get("similarity", [])
    charts = [_chart(title, _part(counted, kind)) for kind, (title, *_) in KINDS.items()]
    told = [tag("h3", "Do the texts fit the images?"), tag("p", words, class_="soft"), _gaps(values)]
    return join([*told, table(heads, rows, caption=caption), tag("div", *charts, class_="charts")])


def _ratings(name: str, values: Mapping[str, Row], figures: Mapping[str, Sequence[Row]]) -> Html:
    words = "A model looked at each image and rated each text, 0 to 10. One judge's numbers say nothing of another's."
    heads = [head("Text"), head("Rating", number=True), head("HQ-CLIP's (figure 4)", number=True)]
    rows = [
        tag("tr", row_head(title), number_cell(_measured(values, "rating", kind, digits=1)), number_cell(published))
        for kind, (title, _, published) in KINDS.items()
        if f"rating_{kind}_mean" in values
    ]
    covered = values["rating_coverage"]
    caption = join([outside(name, 160), f": {count(covered['n'])} texts, {share(covered['value'], 1)} of those shown"])
    counted = figures.get("rating", [])
    parts = {row["part"] for row in counted}
    charts = [_chart(KINDS[kind][0], _part(counted, kind)) for kind in KINDS if kind in parts]
    told = [tag("h3", "What does a judge say?"), tag("p", words, class_="soft")]
    return join([*told, table(heads, rows, caption=caption), tag("div", *charts, class_="charts")])


def _prompts(name: str, values: Mapping[str, Row], figures: Mapping[str, Sequence[Row]]) -> Html:
    words = (
        "A text-to-image model learns from captions and is asked with prompts. RECAP holds that the further the two "
        "are apart, the less it does what it is told."
    )
    heads = [head("Text"), *(head(title, number=True) for title, _ in PROMPTS.values())]
    kinds = [kind for kind in COMPARED_WITH_PROMPTS if f"length_distance_{kind}" in values]
    rows = [
        tag(
            "tr",
            row_head(COMPARED_WITH_PROMPTS[kind]),
            *(number_cell(f"{values[f'{one}_{kind}']['value']:.{digits}f}") for one, (_, digits) in PROMPTS.items()),
        )
        for kind in kinds
    ]
    prompts = values["user_prompts"]["n"]
    caption = join([outside(name, 160), f": {count(prompts)} prompts. Distances are 0, and shares 1, of equal texts."])
    counted = figures.get("words", [])
    titles = {"prompts": "Prompts", **COMPARED_WITH_PROMPTS}
    charts = [_chart(f"{titles[part]}: words", own) for part in ("prompts", *kinds) if (own := _part(counted, part))]
    told = [tag("h3", "Do the texts read as what people type?"), tag("p", words, class_="soft")]
    return join([*told, table(heads, rows, caption=caption), tag("div", *charts, class_="charts")])


def _part(rows: Sequence[Row], part: str) -> list[Row]:
    return [row for row in rows if row["part"] == part]


def _gaps(values: Mapping[str, Row]) -> Html:
    found = [
        f"{length}: {share(values[above]['value'], 1)} of positives above their negatives, by "
        f"{values[gap]['value']:.1f} in the mean"
        for length in ("long", "short")
        if (above := f"similarity_above_{length}") in values and (gap := f"similarity_gap_{length}_mean") in values
    ]
    return tag("p", "; ".join(found))


def _chart(title: str, rows: Sequence[Row]) -> Html:
    if not rows:
        return tag("figure", tag("h3", title), tag("figcaption", "no values"))
    labels = [row["label"] for row in rows]
    step = max(1, round(len(labels) / _TICKS))
    ticks = [Tick(at / len(labels), label) for at, label in enumerate(labels) if at % step == 0]
    series = [Series(title, [row["n"] for row in rows])]
    drawn = histogram(series, ticks=ticks, x_title="value", names=[f"from {label}" for label in labels])
    return tag("figure", tag("h3", title), drawn)
