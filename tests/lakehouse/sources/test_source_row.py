"""Rows of any source: how many come in one batch, and what their names become."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.sources.source_row import Caption, SourceRow, to_batches, utf8

LONG = "x" * 1000


@pytest.mark.parametrize(
    "row",
    [
        SourceRow("u", image=LONG.encode()),
        SourceRow(LONG),
        SourceRow("u", caption=Caption(alt_text=LONG)),
        SourceRow("u", caption=Caption(alt_text="é" * 500)),
        SourceRow("u", caption=Caption(url=LONG)),
        SourceRow("u", caption=Caption(licence=LONG)),
        SourceRow("u", caption=Caption(metadata=LONG)),
    ],
)
def test_a_batch_is_bounded_by_whatever_its_rows_hold(row: SourceRow) -> None:
    assert [batch.num_rows for batch in to_batches([row] * 5, source="s", max_bytes=3000)] == [2, 2, 1]


def test_two_names_stay_two() -> None:
    parts = ("\\", "u", "ud", "dce9", "\udce9")
    names = {"".join(name) for length in range(6) for name in product(parts, repeat=length)}
    assert len({utf8(name) for name in names}) == len(names)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\\")))
def test_a_name_that_is_text_stays_as_it_is(name: str) -> None:
    assert utf8(name) == name
