"""What texts and losses pay: trainings are compared where nothing else differs, and seeds are told apart from arms."""

from typing import Any

from tests.udfs.report.parsed import parsed
from tests.udfs.report.reports import report_of, settings_of
from udfs.report.losses import contests_of, losses_section
from udfs.report.values import Report, Training


def training(name: str, **changes: Any) -> Training:
    return Training(name, {"samples": 1280, **settings_of(name=name, **changes)})


def measured(name: str, value: float, metric: str = "text_to_image_r10") -> dict[str, Any]:
    return {"dataset": "r/held_out/web_text/500", "name": name, "metric": metric, "value": value, "n": 400}


def section(trainings: list[Training], *values: float) -> str:
    rows = [measured(one.name, value) for one, value in zip(trainings, values, strict=True)]
    return content_of(report_of({"losses": rows}, trainings=trainings))


def content_of(report: Report) -> str:
    return losses_section(report).content


def test_seeds_of_one_arm_are_one_row() -> None:
    trainings = [training("a", seed=0), training("b", seed=1), training("c", mix="long_positive=1")]
    content = section(trainings, 0.2, 0.4, 0.5)
    assert content.count('<th scope="row">') == 2
    assert "alt_text=1——230.0 % ± 4.520.0 % to 40.0 %" in parsed(content).text
    assert "long_positive=1——150.0 % ± 4.9" in parsed(content).text


def test_the_best_arm_is_set_in_bold() -> None:
    content = section([training("a"), training("b", hni_weight=0.1)], 0.2, 0.4)
    assert content.count('class="num best"') == 1
    assert "0.1—140.0 %" in parsed(content).text


def test_trainings_of_different_length_are_not_compared() -> None:
    trainings = [training("a", epochs=12), training("b", epochs=32, mix="long_positive=1")]
    assert contests_of(trainings) == []
    assert "Left out until" in section(trainings, 0.2, 0.4)


def test_trainings_on_different_releases_are_not_compared() -> None:
    assert contests_of([training("a"), training("b", release="other", hni_weight=0.1)]) == []


def test_negatives_that_no_loss_reads_make_no_arm() -> None:
    one, other = training("a", negatives="long_negative=1"), training("b", negatives="short_negative=1")
    assert contests_of([one, other]) == []
    both = [training(name, hni_weight=0.1, negatives=f"{name}_negative=1") for name in ("long", "short")]
    assert [len(arms) for arms in contests_of(both)] == [2]


def test_a_training_that_was_not_evaluated_is_no_arm() -> None:
    trainings = [training("a"), training("b", mix="long_positive=1")]
    report = report_of({"losses": [measured("a", 0.5)]}, trainings=trainings)
    assert "Left out until" in content_of(report)


def test_a_figure_that_an_arm_lacks_is_a_dash() -> None:
    trainings = [training("a"), training("b", mix="long_positive=1")]
    rows = [measured("a", 0.5), measured("b", 0.4), measured("b", 0.75, "hard_negative_long")]
    text = parsed(content_of(report_of({"losses": rows}, trainings=trainings))).text
    assert "True long text above the false one" in text
    assert "alt_text=1——150.0 % ± 4.9—" in text


def test_a_reader_of_words_alone_stands_below_the_arms() -> None:
    trainings = [training("a"), training("b", mix="long_positive=1")]
    metrics = {"hard_negative_long": 0.8, "blind_words_long": 0.75}
    rows = [measured(one.name, value, metric) for one in trainings for metric, value in metrics.items()]
    text = parsed(content_of(report_of({"losses": rows}, trainings=trainings))).text
    assert "A reader of words alone———75.0 % ± 4.2" in text
    assert "Blind" not in text


def test_a_training_of_an_older_version_is_passed_over() -> None:
    assert contests_of([Training("old", {"losses": [1.0]}), training("a")]) == []
