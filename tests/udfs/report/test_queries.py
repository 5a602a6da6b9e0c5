"""The questions: over declared tables only, and what is shown is what runs."""

import re

import pytest

from schemas import TABLES
from udfs.report.queries import QUERIES, Query

_VALUES: dict[str, str | int] = {"selection": "it's {mine}", "seed": 7, "gallery": 3, "each": 2}


@pytest.mark.parametrize("name", QUERIES)
def test_a_question_names_declared_tables(name: str) -> None:
    declared = {table.name for table in TABLES}
    assert set(QUERIES[name].tables) <= declared
    assert set(QUERIES[name].needs) <= set(QUERIES[name].tables)


@pytest.mark.parametrize("name", QUERIES)
def test_what_runs_is_what_is_shown(name: str) -> None:
    query = QUERIES[name]
    filled = query.template(_VALUES).format(**{table.replace(".", "_"): table for table in query.tables})
    assert filled == query.shown(_VALUES)
    assert not re.search(r":[a-z]", filled)


def test_a_quote_in_a_value_stays_inside_the_literal() -> None:
    query = Query("SELECT 1 FROM ops.runs WHERE job = :job", needs=("ops.runs",))
    assert query.shown({"job": "a' OR '1'='1"}) == r"SELECT 1 FROM ops.runs WHERE job = 'a\' OR \'1\'=\'1'"
