"""What texts and losses pay: trainings that differ in nothing but these, arm by arm, each over its seeds."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Final

from udfs.report.html import Html, join, outside, tag
from udfs.report.numbers import count, share
from udfs.report.retrieval import half_width
from udfs.report.values import Report, Row, Section, Training, head, number_cell, row_head, sql_of, table

METRICS: Final[Mapping[str, str]] = {
    "text_to_image_r10": "Image of a text in the first 10",
    "image_to_text_r10": "Text of an image in the first 10",
    "hard_negative_long": "True long text above the false one",
    "other_images_long": "Long, on other images",
    "hard_negative_short": "True tags above the false ones",
    "other_images_short": "Tags, on other images",
}
"""Metric of evaluate_clip -> what is found."""

WITHOUT_IMAGE: Final[Mapping[str, str]] = {f"hard_negative_{one}": f"blind_words_{one}" for one in ("long", "short")}
"""Metric -> what a reader of the texts alone comes to, who never saw the model either."""

_OF_AN_ARM: Final = ("mix", "negatives", "hni_weight", "stc_weight")
_OF_A_RUN: Final = ("name", "seed", "lake", "out", "checkpoint_minutes")

Figure = tuple[str, str]
"""A dataset and a metric."""


@dataclass(frozen=True, order=True)
class Arm:
    """Trainings that differ in their seeds alone: what they are fed, and the weights of HQ-CLIP's two losses."""

    hni_weight: float
    stc_weight: float
    mix: str
    negatives: str


def losses_section(report: Report) -> Section:
    """Return, for each set of trainings that can be compared, what each arm finds."""
    title = "What the texts and the losses pay"
    answer = report.answer("losses")
    evaluated = {row["name"] for row in answer.rows}
    contests = contests_of([one for one in report.trainings if one.name in evaluated])
    if not contests:
        missing = (
            "Left out until evaluate_clip has measured two trainings on one release that differ in texts or losses "
            "alone: train_clip's --mix, --hni-weight and --stc-weight make them so."
        )
        return Section("losses", title, tag("p", missing, class_="muted"))
    words = (
        "Each row is what trainings find that differ in their seeds alone. ± is the half width of the 95 % interval "
        "over held-out pairs; below it stand the lowest and the highest seed. All rows are of the same pairs: "
        "a difference between two may be surer than their intervals let it look, and with few seeds it may be luck. "
        "Of negatives that are told on other images as well, or by a reader of words alone, the image is not needed."
    )
    tables = [_contest(arms, answer.rows) for arms in contests]
    return Section("losses", title, join([tag("p", words, class_="soft"), *tables, sql_of(answer)]))


def contests_of(trainings: Sequence[Training]) -> list[dict[Arm, list[Training]]]:
    """Return the trainings by arm, those together that were given all else alike; an arm alone is no contest."""
    found: dict[str, dict[Arm, list[Training]]] = {}
    for one in trainings:
        settings = one.facts.get("settings", {})
        if any(name not in settings for name in _OF_AN_ARM):
            continue
        alike = {name: value for name, value in settings.items() if name not in (*_OF_AN_ARM, *_OF_A_RUN)}
        arms = found.setdefault(json.dumps(alike, sort_keys=True), {})
        arms.setdefault(_arm(settings), []).append(one)
    return [dict(sorted(arms.items())) for arms in found.values() if len(arms) > 1]


def _arm(settings: Mapping[str, Any]) -> Arm:
    # What no loss reads makes no difference.
    negatives = settings["negatives"] if settings["hni_weight"] else ""
    return Arm(settings["hni_weight"], settings["stc_weight"], settings["mix"], negatives)


def _contest(arms: Mapping[Arm, Sequence[Training]], rows: Sequence[Row]) -> Html:
    names = {one.name for trainings in arms.values() for one in trainings}
    own = [row for row in rows if row["name"] in names]
    figures = [one for one in dict.fromkeys((row["dataset"], row["metric"]) for row in own) if one[1] in METRICS]
    figures.sort(key=lambda one: (one[1].endswith(("_long", "_short")), one[0], list(METRICS).index(one[1])))
    found = {figure: {arm: _of(own, figure, trainings) for arm, trainings in arms.items()} for figure in figures}
    best = {figure: max(map(_mean, by_arm.values())) for figure, by_arm in found.items()}
    heads = [head("Texts"), *(head(name, number=True) for name in ("HNI", "STC", "Trainings"))]
    lines = [
        tag(
            "tr",
            *_about(arm, len(trainings)),
            *(_cell(by_arm[arm], best=best[figure]) for figure, by_arm in found.items()),
        )
        for arm, trainings in arms.items()
    ]
    lines += _without_image(figures, own)
    return table([*heads, *map(_figure_head, figures)], lines, caption=_caption(arms, own))


def _without_image(figures: Sequence[Figure], rows: Sequence[Row]) -> list[Html]:
    """Return the row of who reads the texts alone, where that was measured: it is the same for every training."""
    values = {(row["dataset"], row["metric"]): row for row in rows}
    told = [values.get((dataset, WITHOUT_IMAGE.get(metric, ""))) for dataset, metric in figures]
    if not any(told):
        return []
    cells = [_cell([row] if row else [], best=float("inf")) for row in told]
    return [tag("tr", row_head("A reader of words alone"), *[number_cell("—")] * 3, *cells)]


def _of(rows: Sequence[Row], figure: Figure, trainings: Sequence[Training]) -> list[Row]:
    names = {one.name for one in trainings}
    return [row for row in rows if (row["dataset"], row["metric"]) == figure and row["name"] in names]


def _caption(arms: Mapping[Arm, Sequence[Training]], rows: Sequence[Row]) -> Html:
    facts = next(iter(arms.values()))[0].facts
    pairs = max(row["n"] for row in rows)
    words = f": {count(facts.get('samples', 0))} samples a training; {count(pairs)} held-out pairs"
    return join([outside(facts["settings"].get("release", ""), 60), words])


def _figure_head(figure: Figure) -> Html:
    dataset, metric = figure
    words = METRICS.get(metric, metric.replace("_", " ").capitalize())
    where = tag("div", outside(dataset.partition("/")[2] or dataset, 60))
    return tag("th", outside(words, 60), where, scope="col", class_="num")


def _about(arm: Arm, trainings: int) -> list[Html]:
    weights = [number_cell(f"{weight:g}" if weight else "—") for weight in (arm.hni_weight, arm.stc_weight)]
    return [row_head(outside(arm.mix or "the release's own mix", 120)), *weights, number_cell(count(trainings))]


def _cell(rows: Sequence[Row], *, best: float) -> Html:
    if not rows:
        return number_cell("—")
    values = [row["value"] for row in rows]
    around = tag("span", f" ± {100 * half_width(_mean(rows), rows[0]['n']):.1f}", class_="muted")
    seeds = tag("div", f"{share(min(values), 1)} to {share(max(values), 1)}", class_="muted") if rows[1:] else None
    return number_cell(join([share(_mean(rows), 1), around, seeds]), best=_mean(rows) == best)


def _mean(rows: Sequence[Row]) -> float:
    return fmean(row["value"] for row in rows) if rows else float("-inf")
