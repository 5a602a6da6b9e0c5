"""Runs: which job took how long and did what, and what models were paid."""

from udfs.report.html import Html, join, outside, tag
from udfs.report.numbers import count, duration, money
from udfs.report.values import Report, Row, Section, head, number_cell, row_head, sql_of, table


def runs_section(report: Report) -> Section:
    """Return the newest runs, and the answers of models with their cost."""
    runs, answers = report.answer("runs"), report.answer("answers")
    heads = [head("Started (UTC)"), head("Job"), head("Status"), head("Time", number=True), head("Rows")]
    rows = [_run_row(row) for row in runs.rows]
    parts = [
        runs.excuse
        or table(
            heads, rows, caption=f"The newest {len(rows)} runs in ops.runs; a run that changed nothing leaves no row"
        ),
        tag("h3", "Answers of models"),
        answers.excuse or _answers(report),
        sql_of(runs, answers),
    ]
    return Section("runs", "Runs and cost", join(parts))


def _run_row(row: Row) -> Html:
    is_good = row["status"] == "succeeded"
    status = tag("span", row["status"], class_="ok" if is_good else "wrong")
    counts = row["counts"] or {}
    shown = "; ".join(f"{count(n)} {name.replace('_', ' ')}" for name, n in sorted(counts.items()) if name != "rows")
    what = outside(row["error"], 300) if row["error"] else outside(shown)
    return tag(
        "tr",
        tag("td", f"{row['started_at']:%Y-%m-%d %H:%M:%S}", class_="num"),
        row_head(outside(row["job"])),
        tag("td", status),
        number_cell(duration(row["seconds"])),
        tag("td", what, class_="soft"),
    )


def _answers(report: Report) -> Html:
    names = (
        "Model",
        "Revision",
        "Prompt",
        "Status",
        "Answers",
        "Requests",
        "Tokens in",
        "Tokens out",
        "Paid",
        "Mean time",
    )
    heads = [head(name, number=at > 3) for at, name in enumerate(names)]
    rows = [_answer_row(row) for row in report.answer("answers").rows]
    return table(heads, rows, caption="The ledger, silver.responses: every answer is asked and paid for once")


def _answer_row(row: Row) -> Html:
    tokens = ["—" if row[name] is None else count(row[name]) for name in ("input_tokens", "output_tokens")]
    numbers = [count(row["answers"]), count(row["attempts"]), *tokens, money(row["cost_usd"])]
    return tag(
        "tr",
        row_head(outside(row["model"], 80)),
        *(tag("td", outside(row[name], 60)) for name in ("revision", "prompt", "status")),
        *map(number_cell, numbers),
        number_cell(f"{row['seconds'] * 1000:,.1f} ms" if row["seconds"] < 1 else duration(row["seconds"])),
    )
