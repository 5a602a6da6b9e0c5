"""Retrieval: how often a trained model finds the right one among held-out pairs, and what it finds for some texts."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from udfs.report.html import Html, join, outside, tag
from udfs.report.numbers import count, share
from udfs.report.values import Report, Row, Section, Training, head, number_cell, row_head, sql_of, table

METRICS: Final[Mapping[str, tuple[str, int]]] = {
    f"{direction}_r{k}": (f"{words} {place}", k)
    for direction, words in (("text_to_image", "image of a text"), ("image_to_text", "text of an image"))
    for k, place in ((1, "comes first"), (5, "is in the first 5"), (10, "is in the first 10"))
}
"""Metric -> what is found, and among how many."""

QUERIES: Final = 8
"""Examples on the page; evaluate_clip keeps a few more."""

FOUND: Final = 6
"""Images shown for a text."""


def retrieval_section(report: Report) -> Section:
    """Return how often the right image or text is found, run by run, and what is found for some texts."""
    answer = report.answer("evaluations")
    if not answer.rows:
        content = answer.excuse or tag("p", "No model was evaluated yet: evaluate_clip does that.", class_="muted")
        return Section("retrieval", "What the models find", content)
    datasets: dict[str, list[Row]] = {}
    for row in answer.rows:
        datasets.setdefault(row["dataset"], []).append(row)
    words = (
        "Among held-out pairs, by the web's own words: alt-text and tags as they came, nothing generated. "
        "± is the half width of the 95 % interval; below it, a difference between two runs may be chance."
    )
    tables = [_metrics(dataset, rows, report.trainings) for dataset, rows in datasets.items()]
    parts = [tag("p", words, class_="soft"), *tables, sql_of(answer), _examples(report)]
    return Section("retrieval", "What the models find", join(parts))


def _metrics(dataset: str, rows: Sequence[Row], trainings: Sequence[Training]) -> Html:
    names = sorted({row["name"] for row in rows})
    pairs = max(row["n"] for row in rows)
    values = {(row["metric"], row["name"]): row for row in rows}
    heads = [head("Found"), *(head(name, number=True) for name in names), head("By chance", number=True)]
    cells = [_metric_row(metric, names, values, pairs) for metric in METRICS]
    caption = join([outside(dataset, 120), f": {count(pairs)} pairs", _ceiling(names, trainings)])
    return table(heads, cells, caption=caption)


def _metric_row(metric: str, names: Sequence[str], values: Mapping[tuple[str, str], Row], pairs: int) -> Html:
    words, k = METRICS[metric]
    found = [values.get((metric, name)) for name in names]
    best = max((row["value"] for row in found if row is not None), default=0)
    is_race = sum(row["value"] == best for row in found if row is not None) < len(names)
    cells = [
        number_cell("—") if row is None else number_cell(_measured(row), best=is_race and row["value"] == best)
        for row in found
    ]
    return tag("tr", row_head(words), *cells, number_cell(share(min(k, pairs), pairs)))


def _measured(row: Row) -> Html:
    return join(
        [share(row["value"], 1), tag("span", f" ± {100 * half_width(row['value'], row['n']):.1f}", class_="muted")]
    )


def half_width(value: float, n: int) -> float:
    """Return half the width of the 95 % interval (Wilson) of a share ``value`` of ``n``.

    >>> round(half_width(0.5, 400), 4)
    0.0488
    """
    z = 1.96
    inside = value * (1 - value) / n + z * z / (4 * n * n)
    return z * math.sqrt(inside) / (1 + z * z / n)


def _ceiling(names: Sequence[str], trainings: Sequence[Training]) -> str:
    ceilings = [
        one.retrieval["ceiling_r10"] for one in trainings if one.name in names and "ceiling_r10" in one.retrieval
    ]
    if not ceilings or min(ceilings) == 1:
        return ""
    return f"; as some texts stand on several images, at most {share(min(ceilings), 1)} can be among the first 10"


def shown_ids(trainings: Sequence[Training]) -> list[str]:
    """Return the ids of the pairs whose images the examples show."""
    found = (
        name for one in trainings for example in examples_of(one) for name in (example["sample_id"], *example["found"])
    )
    return list(dict.fromkeys(found))


def examples_of(training: Training) -> list[dict[str, Any]]:
    """Return what a training run found for some texts, cut to what the page shows."""
    kept = training.retrieval.get("examples", [])[:QUERIES]
    return [{**example, "found": example["found"][:FOUND]} for example in kept]


def _examples(report: Report) -> Html | None:
    queries: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for training in report.trainings:
        for example in examples_of(training):
            queries.setdefault(example["sample_id"], []).append((training.name, example))
    if not queries:
        return None
    words = "The images that come nearest to a held-out text, best first; the one that it belongs to is framed."
    shown = [_example(report, name, found) for name, found in list(queries.items())[:QUERIES]]
    return join([tag("h3", "Some texts and what is found"), tag("p", words, class_="soft"), *shown])


def _example(report: Report, sample_id: str, runs: Sequence[tuple[str, dict[str, Any]]]) -> Html:
    query = tag("p", "“", outside(runs[0][1]["query"], 220), "”")
    own = tag("div", tag("h4", "Its own image"), report.picture(sample_id, role="own image"), class_="own")
    found = tag("div", *(_found(report, name, example) for name, example in runs))
    return tag("article", query, own, found, class_="query")


def _found(report: Report, run: str, example: Mapping[str, Any]) -> Html:
    right = example["sample_id"]
    place = example["found"].index(right) + 1 if right in example["found"] else None
    said = f": found at place {place}" if place else f": not among the first {len(example['found'])}"
    images = [
        _found_image(report, name, at, is_right=name == right) for at, name in enumerate(example["found"], start=1)
    ]
    return tag("div", tag("h4", outside(run, 60), said), tag("ol", *images), class_="found")


def _found_image(report: Report, sample_id: str, place: int, *, is_right: bool) -> Html:
    role = f"place {place}, the right one" if is_right else f"place {place}"
    return tag("li", report.picture(sample_id, frame="right" if is_right else "", role=role))
