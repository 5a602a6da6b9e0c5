"""What was measured: histograms of signals, lengths of texts, languages and tags."""

from collections.abc import Mapping, Sequence

from udfs.report.bins import LENGTHS, SIGNALS, Bins, counts_of, median_bin
from udfs.report.charts import Series, bar, histogram, legend
from udfs.report.html import Html, join, outside, tag
from udfs.report.numbers import count, share
from udfs.report.values import Report, Row, Section, head, number_cell, row_head, sql_of, table

_SIDES: Mapping[bool, tuple[str, int]] = {True: ("kept", 1), False: ("not kept", 2)}
"""Whether a pair was selected -> name and colour of its part of a bar."""


def signals_section(report: Report) -> Section:
    """Return the distribution of each signal, what was kept apart from what was not."""
    answer, languages = report.answer("histograms"), report.answer("languages")
    if not answer.rows:
        return Section("signals", "What was measured", answer.excuse or tag("p", "Nothing was measured yet."))
    words = (
        "A score is a column and a filter is a predicate over columns: moving a threshold runs no model again. "
        "Duplicates count as not kept."
    )
    parts = [
        tag("p", words, class_="soft"),
        legend([Series(name, (), style) for name, style in _SIDES.values()]),
        _charts(SIGNALS, answer.rows),
        tag("h3", "Language of the alt-text"),
        _languages(languages.rows),
        sql_of(answer, languages),
    ]
    return Section("signals", "What was measured", join(parts))


def _charts(all_bins: Sequence[Bins], rows: Sequence[Row]) -> Html:
    return tag("div", *(_chart(bins, rows) for bins in all_bins), class_="charts")


def _chart(bins: Bins, rows: Sequence[Row]) -> Html:
    def values(is_kept: bool) -> list[int]:
        ours = (row for row in rows if row["name"] == bins.name and row["is_kept"] == is_kept)
        return counts_of([(row["bin"], row["n"]) for row in ours], bins.count)

    series = [Series(name, values(side), style) for side, (name, style) in _SIDES.items()]
    there = [one for one in series if any(one.values)]
    if not there:
        return tag("figure", tag("h3", bins.title), tag("figcaption", "no values"))
    drawn = histogram(there, ticks=bins.axis(), x_title=bins.unit or bins.about, names=bins.bin_names())
    return tag("figure", tag("h3", bins.title), drawn, tag("figcaption", _medians(there, bins)))


def _medians(series: Sequence[Series], bins: Bins) -> str:
    names = bins.bin_names()
    found = [(one.name, median_bin(one.values)) for one in series]
    if len(found) == 1:
        return "median " + "".join(names[at] for _, at in found if at is not None)
    return "median: " + "; ".join(f"{name} {names[at]}" for name, at in found if at is not None)


def _languages(rows: Sequence[Row]) -> Html:
    most = max((row["kept"] + row["not_kept"] for row in rows), default=0)
    heads = [head("Language"), head("Pairs", number=True), head("Kept", number=True), head("")]
    caption = "The ten most frequent, as guessed from the text alone: a guess from two or three words is often wrong"
    return table(heads, [_language_row(row, most) for row in rows], caption=caption)


def _language_row(row: Row, most: int) -> Html:
    total = row["kept"] + row["not_kept"]
    return tag(
        "tr",
        row_head(outside(row["language"])),
        number_cell(count(total)),
        number_cell(share(row["kept"], total)),
        tag("td", bar(total, most), class_="bars"),
    )


def texts_section(report: Report) -> Section:
    """Return how long the texts of the published pairs are, and which tags are the most frequent."""
    lengths, tags = report.answer("text_lengths"), report.answer("tags")
    charts = lengths.excuse or _charts(LENGTHS, [{**row, "is_kept": True} for row in lengths.rows])
    parts = [
        tag("p", "Published pairs by the length of each of their texts.", class_="soft"),
        charts,
        tag("h3", "Most frequent tags"),
        tags.excuse or _tags(report),
        sql_of(lengths, tags),
    ]
    return Section("texts", "Texts and tags", join(parts))


def _tags(report: Report) -> Html:
    rows = report.answer("tags").rows
    most = max((row["samples"] for row in rows), default=0)
    known = "; ".join(
        f"{count(row['tags'])} tags in vocabulary {row['vocabulary']}" for row in report.answer("vocabulary").rows
    )
    half = -(-len(rows) // 2)
    columns = [_tag_table(part, most) for part in (rows[:half], rows[half:]) if part]
    return join([tag("p", known, class_="soft small"), tag("div", *columns, class_="columns")])


def _tag_table(rows: Sequence[Row], most: int) -> Html:
    heads = [head("Tag"), head("Samples", number=True), head("")]
    return table(heads, [_tag_row(row, most) for row in rows])


def _tag_row(row: Row, most: int) -> Html:
    return tag(
        "tr",
        row_head(outside(row["tag"], 60)),
        number_cell(count(row["samples"])),
        tag("td", bar(row["samples"], most), class_="bars"),
    )
