"""Reports to test with: small, whole, and as hostile as the web."""

import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from PIL import Image

from udfs.report.queries import QUERIES
from udfs.report.values import Answer, Report, Thumbnail, Training

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><script>alert(1)</script>",
    "</title><svg onload=alert(1)>",
    "<!-- -->]]><a href=javascript:alert(1)>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "invoice\u202egpj.exe\x00\x1b[31m",
)
"""Alt-texts that try to be more than text."""

MADE_AT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


def jpeg(size: tuple[int, int] = (8, 8), colour: str = "teal") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "JPEG")
    return buffer.getvalue()


def report_of(
    rows: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    *,
    texts: Mapping[str, str] | None = None,
    trainings: Sequence[Training] = (),
) -> Report:
    """Return a report with ``rows`` by figure; all other figures are left out. ``texts`` are alt-texts by sample_id."""
    given = rows or {}
    answers = {
        name: Answer(given[name], query.sql) if name in given else Answer(missing=query.needs)
        for name, query in QUERIES.items()
    }
    thumbnails = {name: Thumbnail(jpeg(), text, 8, 8) for name, text in (texts or {}).items()}
    return Report("/lake", "default", "1.2.3", MADE_AT, answers, thumbnails, trainings)


FUNNEL = {
    "rejected_at_ingest": 100,
    "pairs": 1000,
    "duplicates": 300,
    "selected": 600,
    "rejected_at_selection": 400,
    "described": 600,
    "published": 590,
}


def full(text: str) -> Report:
    """Return a report with something in every part, and ``text`` wherever a text comes from outside."""
    rows: dict[str, list[dict[str, Any]]] = {
        "funnel": [FUNNEL],
        "rejects": [{"stage": text, "reason": "too_small", "n": 3}, {"stage": text, "reason": text, "n": 1}],
        "histograms": [{"name": "words", "is_kept": True, "bin": 1, "n": 5}],
        "languages": [{"language": text, "kept": 3, "not_kept": 1}],
        "text_lengths": [{"name": "alt_text", "is_kept": True, "bin": 1, "n": 5}],
        "tags": [{"tag": text, "samples": 4}],
        "vocabulary": [{"vocabulary": text, "tags": 4}],
        "releases": [_release(text)],
        "evaluations": [_metric(text, f"{way}_r{k}") for way in ("text_to_image", "image_to_text") for k in (1, 5, 10)],
        "suites": [
            _metric(f"{text}/swap", name) | {"low": 0.2, "high": 0.3} for name in ("hard_negative_long", f"x{text}")
        ],
        "losses": [_metric(text, "text_to_image_r10"), _metric(f"{text} 2", "text_to_image_r10")],
        "audit": [_metric(text, "blind_auc_long"), _metric(text, "jaccard_long_mean"), *_similarity(f"{text} 2")],
        "audit_counts": [
            _tally(text, "giveaway_long", text, "negative"),
            _tally(text, "giveaway_long", text, "positive"),
            _tally(text, "jaccard_long", "0.5", "negative"),
            _tally(f"{text} 2", "similarity", "25", "alt_text"),
        ],
        "comparisons": [
            comparison(text, name) for name in ("samples", "first_accepted", f"first_rejected_{text}", *_GAPS)
        ],
        "compared": [compared(text), compared(text) | {"first_reason": text, "first_long_positive": None}],
        "promotions": [{"model": text, "prompt": text, "why": text, "promoted_at": MADE_AT}],
        "runs": [_run(text, None), _run(text, text)],
        "answers": [_answers(text)],
        "gallery": [_published(text)],
        "rejected": _rejected(text),
    }
    example = {"query": text, "sample_id": "a", "found": ["b", "a"]}
    facts = {
        "losses": [2.0, 1.5],
        "realised_mix": {text: 1.0},
        "rows": 590,
        "steps": 8,
        "samples": 1024,
        "seconds": 3.0,
    }
    trainings = [
        Training(text, facts | settings_of(mix=text), {"examples": [example], "ceiling_r10": 0.97}),
        Training(f"{text} 2", facts | settings_of(mix="")),
    ]
    return report_of(rows, texts=dict.fromkeys("abc", text), trainings=trainings)


def _published(text: str) -> dict[str, Any]:
    texts = {"web_tags": [text], "short_positive": [text], "short_negative": [text], "alt_text": text}
    about = {"source_uid": text, "url": text, "licence": text, "model": text}
    return {"sample_id": "a", "long_positive": text, "long_negative": f"not {text}", **texts, **about}


def _rejected(text: str) -> list[dict[str, Any]]:
    measured = {"width": 8, "height": 8, "aspect": 1.0, "words": 1, "language": text, "language_score": 0.9}
    measured |= {"entropy": 1.0, "flat_share": 0.5, "repetition": 0.0}
    plain = {"stage": text, "detail": None, "source_uid": text, "kept_id": None, "distance": None, **measured}
    double = {"reason": "perceptual_duplicate", "kept_id": "a", "detail": "a", "distance": 2}
    return [
        {**plain, "row_id": "b", "reason": "too_small"},
        {**plain, "row_id": "c", **double},
        {**plain, "row_id": "none", "reason": "missing_image", "detail": text},
    ]


def settings_of(**changes: Any) -> dict[str, Any]:
    """Return what a training's facts say of its settings."""
    plain = {"release": "r", "mix": "alt_text=1", "negatives": "", "hni_weight": 0.0, "stc_weight": 0.0, "seed": 0}
    return {"settings": plain | changes}


def _release(text: str) -> dict[str, Any]:
    names = {"release": text, "table_name": text, "mix": text, "negatives": text, "digest": text}
    return {**names, "table_version": 3, "train_rows": 500, "held_out_rows": 90}


def _metric(name: str, metric: str) -> dict[str, Any]:
    return {"dataset": name, "name": name, "metric": metric, "value": 0.25, "n": 90, "evaluated_at": MADE_AT}


def _similarity(name: str) -> list[dict[str, Any]]:
    names = ("coverage", "alt_text_mean", "alt_text_std", "above_long", "gap_long_mean")
    return [_metric(name, f"similarity_{one}") for one in names]


def _tally(dataset: str, figure: str, label: str, part: str) -> dict[str, Any]:
    return {"dataset": dataset, "figure": figure, "place": 1, "label": label, "part": part, "n": 7}


_GAPS = [f"similarity_{name}" for name in ("gap_mean", "gap_low", "gap_high", "wins", "ties", "losses", "sign_p")]


def comparison(second: str, metric: str, value: float = 0.5) -> dict[str, Any]:
    """Return a metric of the comparison of the rules with ``second``."""
    names = {"checkpoint": "c", "comparison": "c", "metric": metric, "scorer": second}
    sides = {f"{side}_{name}": "x" for side in ("first", "second") for name in ("revision", "prompt_hash")}
    first = {"first_model": "rules://", "first_prompt": "hqclip_student"}
    return {
        **names,
        **sides,
        **first,
        "second_model": second,
        "second_prompt": "hqclip_student",
        "value": value,
        "n": 40,
    }


def compared(text: str) -> dict[str, Any]:
    """Return a sample of that comparison of which the two say ``text`` and another."""
    long = {"first_long_positive": text, "second_long_positive": f"{text} at the beach"}
    tags = {"first_short_positive": [text], "second_short_positive": [text, "beach"]}
    scores = {"first_similarity": 21.5, "second_similarity": 25.0, "first_reason": None, "second_reason": None}
    return {"comparison": "c", "sample_id": "a", **long, **tags, **scores}


def _run(text: str, error: str | None) -> dict[str, Any]:
    status = "failed" if error else "succeeded"
    return {
        "run_id": text,
        "job": text,
        "status": status,
        "error": error,
        "counts": {text: 3},
        "started_at": MADE_AT,
        "seconds": 1.5,
        "cost_usd": 0.0,
        "code_version": text,
    }


def _answers(text: str) -> dict[str, Any]:
    names = {"model": text, "revision": text, "prompt": text, "status": "answered"}
    tokens = {"input_tokens": None, "output_tokens": 7}
    return {**names, "answers": 600, "attempts": 601, **tokens, "cost_usd": 1.25, "seconds": 0.4}
