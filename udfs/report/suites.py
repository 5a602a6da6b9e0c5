"""Suites: what trained models come to where evaluate_clip was asked for more, with controls that see no image."""

from collections.abc import Mapping, Sequence
from typing import Final

from udfs.report.html import Html, join, outside, tag
from udfs.report.numbers import count, share
from udfs.report.values import Report, Row, Section, head, number_cell, row_head, sql_of, table

NAMES: Final[Mapping[str, str]] = {
    "text_to_image_r": "image of a text is in the first ",
    "image_to_text_r": "a text of an image is in the first ",
    "top": "right class is in the first ",
    "mean_per_class_recall": "right class comes first, mean over classes",
    "hard_negative_": "image fits its true text better: ",
    "other_images_": "another image fits it better: ",
    "blind_words_": "a reader of words alone tells it: ",
    "blind_length_": "the true text is the shorter one: ",
    "text_score": "both texts of an example are right",
    "image_score": "both images of an example are right",
    "group_score": "all of an example is right",
}
"""What a metric's name begins with -> what is measured; what follows in the name follows in the words."""

_WORDS: Final = (
    "Every figure with its 95 % interval. Where another image than its own, or no image at all, does about as well as "
    "the image itself, a suite says little about seeing: 50 % is what a fair one leaves to the blind."
)


def suites_section(report: Report) -> Section:
    """Return the figures of all suites but the retrieval that every run is measured by."""
    answer = report.answer("suites")
    if not answer.rows:
        words = "No suite was asked for: evaluate_clip --hard-negatives, --zero-shot and others do that."
        return Section("suites", "Suites", answer.excuse or tag("p", words, class_="muted"))
    datasets: dict[str, list[Row]] = {}
    for row in answer.rows:
        datasets.setdefault(row["dataset"], []).append(row)
    tables = [_figures(dataset, rows) for dataset, rows in datasets.items()]
    return Section("suites", "Suites", join([tag("p", _WORDS, class_="soft"), *tables, sql_of(answer)]))


def _figures(dataset: str, rows: Sequence[Row]) -> Html:
    runs = sorted({row["name"] for row in rows})
    values = {(row["metric"], row["name"]): row for row in rows}
    heads = [head("Measured"), *(head(run, number=True) for run in runs), head("Of", number=True)]
    lines = []
    for metric in dict.fromkeys(row["metric"] for row in rows):
        found = [values.get((metric, run)) for run in runs]
        n = max(row["n"] for row in found if row is not None)
        cells = [number_cell("—" if row is None else _measured(row)) for row in found]
        lines.append(tag("tr", row_head(outside(words_of(metric), 80)), *cells, number_cell(count(n))))
    return table(heads, lines, caption=outside(dataset, 120))


def words_of(metric: str) -> str:
    """Return what ``metric`` measures; its name where that is not known here.

    >>> words_of("text_to_image_r5"), words_of("hard_negative_swap_att"), words_of("speed")
    ('image of a text is in the first 5', 'image fits its true text better: swap att', 'speed')
    """
    start = next((one for one in NAMES if metric.startswith(one)), None)
    return metric if start is None else NAMES[start] + metric.removeprefix(start).replace("_", " ")


def _measured(row: Row) -> Html:
    bounds = None if row["low"] is None else f" {100 * row['low']:.1f} to {100 * row['high']:.1f}"
    return join([share(row["value"], 1), tag("span", bounds, class_="muted") if bounds else None])
