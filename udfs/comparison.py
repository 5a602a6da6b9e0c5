"""Two models, or two prompts, side by side on the same samples: pairs of answers in, figures out."""

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from udfs.audit import Metric
from udfs.hardness import jaccard
from udfs.tokens import CLIP_LIMIT, count_tokens
from udfs.words import one_text, words_of

SIDES: Final = ("first", "second")

TEXTS: Final = ("long_positive", "short_positive", "long_negative", "short_negative")
"""Texts of an answer; tags are joined by commas to be measured."""

MIN_PAIRS: Final = 20
"""With fewer scored pairs a bootstrap's interval is too narrow to go by."""

_DRAWS: Final = 5000
_SEED: Final = 0

Answer = Mapping[str, Any]
"""What one side said of a sample: ``TEXTS``, ``repairs``, ``reason`` where it was rejected, what it cost, and
``similarity`` of long_positive and image, null where it was not scored."""

Pair = tuple[Answer, Answer]
"""The answers of both sides on one sample."""


def digest_of(pairs: Sequence[Pair], scorer: str) -> str:
    """Return SHA-256, in hex, over ids, answers and scorer: other answers or scores make another comparison."""
    lines = sorted(
        "\0".join((first["sample_id"], first["request_key"], second["request_key"])) for first, second in pairs
    )
    return hashlib.sha256("\n".join([scorer, *lines]).encode()).hexdigest()


def compare(pairs: Sequence[Pair], *, has_price: tuple[bool, bool]) -> tuple[Metric, ...]:
    """Return the figures of each side under its name, and those of both together.

    ``has_price`` says of which side it is known what an answer costs.
    """
    found = [Metric("samples", float(len(pairs)), len(pairs))]
    for place, (side, is_priced) in enumerate(zip(SIDES, has_price, strict=True)):
        own = [pair[place] for pair in pairs]
        figures = (*_verdicts(own), *_lengths(own), *_costs(own, is_priced=is_priced))
        found += [Metric(f"{side}_{one.metric}", one.value, one.n) for one in figures]
    return (*found, *_accepted_alone(pairs), *_similarities(pairs))


def _verdicts(answers: Sequence[Answer]) -> Iterator[Metric]:
    """Yield the shares of answers that were accepted, accepted after a repair, and rejected, by repair and reason."""
    accepted = [one for one in answers if one["reason"] is None]
    mended = [one for one in accepted if one["repairs"]]
    repairs = Counter(name for one in mended for name in one["repairs"])
    reasons = Counter(one["reason"] for one in answers if one["reason"] is not None)
    counts = {"accepted": len(accepted), "repaired": len(mended), "rejected": reasons.total()}
    counts |= {f"repaired_{name}": n for name, n in sorted(repairs.items())}
    counts |= {f"rejected_{name}": n for name, n in sorted(reasons.items())}
    yield from (Metric(name, n / len(answers), len(answers)) for name, n in counts.items() if answers)


def _lengths(answers: Sequence[Answer]) -> Iterator[Metric]:
    accepted = [one for one in answers if one["reason"] is None]
    for name in TEXTS if accepted else ():
        texts = [one_text(one[name]) for one in accepted]
        words = [len(words_of(text)) for text in texts]
        tokens = [n for n in count_tokens("clip", texts) if n is not None]
        over = sum(n > CLIP_LIMIT for n in tokens) / len(tokens)
        means = {"words": words, "tokens": tokens}
        for unit, sizes in means.items():
            yield Metric(f"{unit}_{name}_mean", float(np.mean(sizes)), len(sizes))
            yield Metric(f"{unit}_{name}_std", float(np.std(sizes)), len(sizes))
        yield Metric(f"over_77_{name}", over, len(tokens))


def _costs(answers: Sequence[Answer], *, is_priced: bool) -> Iterator[Metric]:
    """Yield what an accepted answer cost, the rejected ones paid with it; tokens only where the model counts them."""
    accepted = sum(one["reason"] is None for one in answers)
    counted = [one for one in answers if one["input_tokens"] is not None or one["output_tokens"] is not None]
    sums = {"seconds": math.fsum(one["seconds"] for one in answers)}
    if is_priced:
        sums["usd"] = math.fsum(one["cost_usd"] for one in answers)
    if counted:
        sums["tokens"] = float(sum((one["input_tokens"] or 0) + (one["output_tokens"] or 0) for one in counted))
    if accepted:
        yield from (Metric(f"{name}_per_accepted", total / accepted, accepted) for name, total in sums.items())


def _accepted_alone(pairs: Sequence[Pair]) -> Iterator[Metric]:
    verdicts = [(first["reason"] is None, second["reason"] is None) for first, second in pairs]
    for side, alone in zip(SIDES, ((True, False), (False, True)), strict=True):
        yield Metric(f"only_{side}_accepted", float(verdicts.count(alone)), len(pairs))


def _similarities(pairs: Sequence[Pair]) -> Iterator[Metric]:
    """Yield what a scorer says of the pairs of which it scored both: a side that rejects much is judged on the rest."""
    scores = [(first["similarity"], second["similarity"]) for first, second in pairs]
    both = [(one, other) for one, other in scores if _is_number(one) and _is_number(other)]
    if not both:
        return
    gaps = [one - other for one, other in both]
    low, high = bootstrap_interval(gaps)
    wins, losses = sum(gap > 0 for gap in gaps), sum(gap < 0 for gap in gaps)
    values = {
        f"{side}_similarity_mean": float(np.mean(own)) for side, own in zip(SIDES, zip(*both, strict=True), strict=True)
    }
    values |= {"similarity_gap_mean": float(np.mean(gaps)), "similarity_gap_low": low, "similarity_gap_high": high}
    values |= {"similarity_wins": wins, "similarity_ties": len(gaps) - wins - losses, "similarity_losses": losses}
    values["similarity_sign_p"] = sign_test(wins, losses)
    yield from (Metric(name, float(value), len(both)) for name, value in values.items())


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def bootstrap_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of the mean of ``values``, by the percentiles of means of samples drawn from them.

    The draws are seeded: the same values, in whatever order, give the same interval.

    >>> bootstrap_interval([2.0, 2.0, 2.0])
    (2.0, 2.0)
    """
    ordered, draws = np.sort(np.asarray(values, np.float64)), np.random.default_rng(_SEED)
    # One draw after the other: all at once would be thousands of times the sample in memory.
    means = [ordered[draws.integers(0, len(ordered), len(ordered))].mean() for _ in range(_DRAWS)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def sign_test(wins: int, losses: int) -> float:
    """Return how likely fair coins fall at least as unevenly, to either side; ties are left out.

    >>> sign_test(5, 0), sign_test(3, 3), sign_test(0, 0)
    (0.0625, 1.0, 1.0)
    """
    n, fewer = wins + losses, min(wins, losses)
    logs = [math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(fewer + 1)]
    tail = math.fsum(math.exp(log - n * math.log(2)) for log in logs)
    return min(1.0, round(2 * tail, 12))


def winner(values: Mapping[str, float]) -> str | None:
    """Return the side whose long positives fit their images better, or None where that is not clear.

    It is clear where at least ``MIN_PAIRS`` pairs were scored and the 95 % interval of the mean paired difference of
    similarity excludes 0.
    """
    scored = sum(values.get(f"similarity_{name}", 0) for name in ("wins", "ties", "losses"))
    if scored < MIN_PAIRS:
        return None
    if values["similarity_gap_low"] > 0:
        return "first"
    return "second" if values["similarity_gap_high"] < 0 else None


def side_by_side(pair: Pair) -> dict[str, Any]:
    """Return both answers of ``pair`` as one row, each side's columns under its name, with how far the texts differ."""
    row = {"sample_id": pair[0]["sample_id"], "word_distance": _word_distance(pair)}
    for side, one in zip(SIDES, pair, strict=True):
        is_accepted = one["reason"] is None
        row |= {f"{side}_{name}": one[name] if is_accepted else None for name in TEXTS}
        row |= {f"{side}_{name}": one[name] for name in ("request_key", "repairs", "reason", "similarity")}
        row[f"{side}_tokens"] = count_tokens("clip", [one["long_positive"] if is_accepted else None])[0]
    return row


def _word_distance(pair: Pair) -> float | None:
    if any(one["reason"] is not None for one in pair):
        return None
    first, second = (words_of(one["long_positive"]) for one in pair)
    return 1 - jaccard(first, second)
