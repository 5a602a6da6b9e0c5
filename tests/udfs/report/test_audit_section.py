"""The audit on the page: figures with their spread, phrases with their counts, and what is not there is said."""

from datetime import timedelta
from typing import Any

from tests.udfs.report.parsed import parsed
from tests.udfs.report.reports import MADE_AT, report_of
from udfs.report.audit import audit_section


def metric(name: str, value: float, *, dataset: str = "gold.captions/2000/texts", day: int = 0) -> dict[str, Any]:
    made = MADE_AT + timedelta(days=day)
    return {"dataset": dataset, "metric": name, "value": value, "n": 2000, "evaluated_at": made}


def tally(figure: str, place: int, label: str, part: str, n: int) -> dict[str, Any]:
    about = {"dataset": "gold.captions/2000/texts", "figure": figure}
    return {**about, "place": place, "label": label, "part": part, "n": n}


def shown(metrics: list[dict[str, Any]], counts: list[dict[str, Any]] | None = None) -> str:
    return parsed(audit_section(report_of({"audit": metrics, "audit_counts": counts or []})).content).text


def test_a_figure_stands_with_its_interval() -> None:
    found = shown([metric("blind_auc_long", 0.7344), metric("blind_auc_ci95_long", 0.0151)])
    assert "0.734 ± 0.015" in found
    assert "gold.captions/2000/texts: 2,000 samples" in found


def test_a_mean_stands_beside_what_was_published() -> None:
    found = shown([metric("jaccard_long_mean", 0.79), metric("jaccard_long_std", 0.09)])
    assert "0.790 ± 0.090—0.39 and 0.34" in found


def test_a_giveaway_stands_with_its_counts() -> None:
    counts = [tally("giveaway_long", 1, "brown", "negative", 126), tally("giveaway_long", 1, "brown", "positive", 363)]
    found = shown([metric("blind_auc_long", 0.73)], counts)
    assert "brown126363" in found
    assert "None stands out from what chance would do." in found, "of the short texts"


def test_texts_without_a_scorer_have_no_similarities() -> None:
    assert "Do the texts fit the images?" not in shown([metric("blind_auc_long", 0.73)])


def test_similarities_stand_beside_hq_clips() -> None:
    values = {"coverage": 0.95, "long_positive_mean": 28.04, "long_positive_std": 4.01, "above_long": 0.9}
    values |= {"gap_long_mean": 7.51}
    found = shown([metric(f"similarity_{name}", value, dataset="x") for name, value in values.items()])
    assert "28.0 ± 4.029.0 ± 4.4" in found
    assert "95.0 % of the sample" in found
    assert "long: 90.0 % of positives above their negatives, by 7.5 in the mean" in found


def test_ratings_stand_beside_hq_clips() -> None:
    values = {"coverage": 0.9, "long_negative_mean": 1.25, "long_negative_std": 2.5}
    name = "gold.captions/2000/judge/m"
    found = shown([metric(f"rating_{one}", value, dataset=name) for one, value in values.items()])
    assert "Long negative1.2 ± 2.50.5" in found
    assert "2,000 texts, 90.0 % of those shown" in found
    assert "Alt-text" not in found


def test_each_kind_of_text_stands_with_its_distance_from_prompts() -> None:
    values = {"length_distance": 4.04, "vocabulary_overlap": 0.1234, "covered_words": 0.5, "embedding_distance": 0.25}
    name = "gold.captions/2000/prompts/mine@0/hashed"
    metrics = [metric(f"{one}_recap_short", value, dataset=name) for one, value in values.items()]
    counts = [{**tally("words", 1, "0", part, 7), "dataset": name} for part in ("prompts", "recap_short")]
    found = shown([*metrics, metric("user_prompts", 2000, dataset=name)], counts)
    assert "RECAP, short4.00.1230.5000.2500" in found
    assert "2,000 prompts" in found
    assert "Prompts: words" in found
    assert "Alt-text" not in found


def test_an_audit_of_each_sample_has_its_own_table() -> None:
    found = shown([metric("blind_auc_long", 0.7), metric("blind_auc_long", 0.6, dataset="gold.captions/500/texts")])
    assert "gold.captions/500/texts" in found
    assert "gold.captions/2000/texts" in found


def test_a_lake_that_was_not_audited_says_what_to_run() -> None:
    assert "audit_captions" in audit_section(report_of()).content
    assert "audit_captions does that" in shown([])
