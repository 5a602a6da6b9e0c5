"""Trainings: loss curves, what each run was fed, and how fast."""

from collections.abc import Sequence

from udfs.report.charts import Series, legend, lines
from udfs.report.html import Html, join, outside, tag
from udfs.report.numbers import count, duration, share
from udfs.report.values import Report, Section, Training, head, number_cell, row_head, table


def training_section(report: Report) -> Section:
    """Return loss curves and settings of every training."""
    if not report.trainings:
        content = tag("p", "Left out, as no model was trained yet: train_clip does that.", class_="muted")
        return Section("training", "Training", content)
    curves = [Series(one.name, one.facts.get("losses", ()), 1 + at % 4) for at, one in enumerate(report.trainings)]
    words = "Trainings on other mixes of texts have other tasks: compare them by what they find, not by their losses."
    curve = tag(
        "figure",
        tag("h3", "Mean loss of each epoch"),
        lines(curves, x_title="epoch", y_title="mean loss"),
        legend(curves),
        class_="curve",
    )
    parts = [tag("p", words, class_="soft"), curve, _settings(report.trainings)]
    return Section("training", "Training", join(parts))


def _settings(trainings: Sequence[Training]) -> Html:
    names = ("Run", "Mix as realised", "Rows", "Steps", "Samples", "Skipped", "Parameters", "Time", "Samples a second")
    heads = [head(name, number=at > 1) for at, name in enumerate(names)]
    return table(heads, [_settings_row(one) for one in trainings], caption="What each run was fed, and how fast")


def _settings_row(training: Training) -> Html:
    facts = training.facts
    mix = "; ".join(f"{name} {share(part, 1)}" for name, part in facts.get("realised_mix", {}).items())
    numbers = [count(facts.get(name, 0)) for name in ("rows", "steps", "samples", "skipped", "parameters")]
    speed = [duration(facts.get("seconds", 0)), count(facts.get("samples_per_second", 0))]
    return tag(
        "tr", row_head(outside(training.name, 60)), tag("td", outside(mix)), *map(number_cell, [*numbers, *speed])
    )
