"""Pairs to look at: published ones with all their texts, rejected ones with what spoke against them."""

from collections.abc import Callable, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import groupby
from typing import Final

from udfs.reasons import REASONS
from udfs.report.html import Html, join, one_line, outside, tag
from udfs.report.numbers import count, share
from udfs.report.thumbnails import quoted
from udfs.report.values import Report, Row, Section, head, row_head, sql_of, table

_MOST_CHARS = 600
"""Of a text that is compared word by word: what is longer is cut."""


def gallery_section(report: Report) -> Section:
    """Return published pairs with their texts, chosen by a hash of their ids."""
    answer = report.answer("gallery")
    if not answer.rows:
        return Section("gallery", "Pairs with their texts", answer.excuse or tag("p", "Nothing is published yet."))
    words = (
        f"{len(answer.rows)} published pairs, chosen by a hash and not by hand. "
        "What the long negative changes of the long positive is marked."
    )
    cards = tag("div", *(_card(report, row) for row in answer.rows), class_="cards")
    return Section("gallery", "Pairs with their texts", join([tag("p", words, class_="soft"), cards, sql_of(answer)]))


def _card(report: Report, row: Row) -> Html:
    before, after = differences(row["long_positive"], row["long_negative"])
    texts = {
        "Alt-text": quoted(row["alt_text"]),
        "Tags that came with it": chips(row["web_tags"]),
        "Long positive": before,
        "Short positive": chips(row["short_positive"]),
        "Long negative": after,
        "Short negative": chips(row["short_negative"], "chip no"),
    }
    listed = join(join([tag("dt", name), tag("dd", text)]) for name, text in texts.items())
    about = join([outside(row["source_uid"], 90), *([" · ", outside(row["licence"], 60)] if row["licence"] else [])])
    body = [report.picture(row["sample_id"]), tag("dl", listed), tag("p", about, class_="muted small")]
    return tag("article", *body, class_="card")


def chips(tags: Sequence[str] | None, style: str = "chip") -> Html:
    """Return tags that others wrote, each in its own frame, at most 16 of them."""
    if not tags:
        return tag("span", "none", class_="muted")
    shown = [tag("span", outside(one, 40), class_=style) for one in tags[:16]]
    return join([*shown, f"and {len(tags) - 16} more" if len(tags) > 16 else None])


def differences(positive: str | None, negative: str | None) -> tuple[Html, Html]:
    """Return both texts with the words marked in which they differ."""
    one, other = (one_line(text, _MOST_CHARS).split() for text in (positive, negative))
    changes = SequenceMatcher(None, one, other, autojunk=False).get_opcodes()
    before = [(kind != "equal", one[start:end]) for kind, start, end, _, _ in changes]
    after = [(kind != "equal", other[start:end]) for kind, _, _, start, end in changes]
    return _marked(before), _marked(after)


def _marked(runs: Sequence[tuple[bool, Sequence[str]]]) -> Html:
    parts = [tag("mark", " ".join(words)) if is_changed else " ".join(words) for is_changed, words in runs if words]
    return tag("bdi", join(parts, " ")) if parts else tag("span", "none", class_="muted")


_FACTS: Final[Mapping[str, Callable[[Row], str]]] = {
    "perceptual_duplicate": lambda row: f"hashes differ in {row['distance']} of 64 bits",
    "too_small": lambda row: f"{row['width']} by {row['height']} pixels",
    "extreme_aspect": lambda row: (
        f"{row['width']} by {row['height']} pixels, {row['aspect']:.1f} times as long as wide"
    ),
    "no_detail": lambda row: f"{share(row['flat_share'], 1)} of one colour, entropy {row['entropy']:.2f} bits",
    "too_few_words": lambda row: f"words: {row['words']}",
    "repetitive_text": lambda row: f"{share(row['repetition'], 1)} of the words repeat",
    "other_language": lambda row: f"language {row['language']}, {share(row['language_score'], 1)} sure",
}
"""Reason -> what was measured of the pair that led to it."""


def rejected_section(report: Report) -> Section:
    """Return a few of the pairs that were turned away, reason by reason."""
    answer = report.answer("rejected")
    if not answer.rows:
        return Section("rejected", "Pairs turned away", answer.excuse or tag("p", "Nothing was turned away."))
    totals = {(row["stage"], row["reason"]): row["n"] for row in report.answer("rejects").rows}
    pictured = [row for row in answer.rows if row["row_id"] in report.thumbnails]
    pictured.sort(key=lambda row: (row["stage"], -totals.get((row["stage"], row["reason"]), 0), row["reason"]))
    others = [row for row in answer.rows if row["row_id"] not in report.thumbnails]
    words = "A few of each reason, chosen by a hash. A duplicate stands beside the pair that stays."
    groups = groupby(pictured, key=lambda row: (row["stage"], row["reason"]))
    parts = [
        tag("p", words, class_="soft"),
        *(_group(report, stage, reason, list(rows), totals) for (stage, reason), rows in groups),
        _without_image(others) if others else None,
        sql_of(answer),
    ]
    return Section("rejected", "Pairs turned away", join(parts))


def _group(report: Report, stage: str, reason: str, rows: Sequence[Row], totals: Mapping[tuple[str, str], int]) -> Html:
    meaning = REASONS.get(reason, "not in the list of reasons")
    title = tag("h3", outside(reason.replace("_", " ")), f": {count(totals.get((stage, reason), len(rows)))}")
    about = tag("p", f"{meaning} (", outside(stage), ")", class_="soft small")
    is_pair = any(row["kept_id"] for row in rows)
    cards = tag("div", *(_rejected_card(report, row) for row in rows), class_="cards" if is_pair else "cards narrow")
    return join([title, about, cards])


def _rejected_card(report: Report, row: Row) -> Html:
    own, kept = report.thumbnails[row["row_id"]], report.thumbnails.get(row["kept_id"] or "")
    if kept is None:
        shown = [report.picture(row["row_id"], role="turned away"), tag("p", quoted(own.alt_text, 160))]
    else:
        sides = [
            _side(report, row["row_id"], "turned away", own.alt_text),
            _side(report, row["kept_id"], "stays", kept.alt_text),
        ]
        shown = [tag("div", *sides, class_="pair")]
    why = tag("p", why_of(row), class_="muted small") if why_of(row) else None
    return tag("article", *shown, why, class_="card")


def _side(report: Report, sample_id: str, role: str, alt_text: str) -> Html:
    label = tag("span", role, class_="label")
    return tag("div", label, report.picture(sample_id, role=role), tag("p", quoted(alt_text, 120)))


def why_of(row: Row) -> Html | None:
    """Return what was measured of a rejected pair that led to the reason; None where the reason says it all."""
    # The detail of a duplicate is the id of the pair that stays: its picture stands beside.
    if row["detail"] and not row["kept_id"]:
        return outside(row["detail"], 160)
    # A pair that was rejected before it was measured has the reason but no signals.
    is_known = row["width"] is not None
    fact = _FACTS.get(row["reason"])
    return outside(fact(row)) if fact is not None and is_known else None


def _without_image(rows: Sequence[Row]) -> Html:
    heads = [head("Reason"), head("Name in the source"), head("What exactly")]
    cells = [
        tag(
            "tr",
            row_head(outside(row["reason"].replace("_", " "))),
            tag("td", outside(row["source_uid"], 100)),
            tag("td", outside(row["detail"], 160), class_="soft"),
        )
        for row in rows
    ]
    return join([tag("h3", "Never taken in"), table(heads, cells, caption="Rows without an image in bronze.pairs")])
