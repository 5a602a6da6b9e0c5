"""What predicates promise."""

import pyarrow as pa
import pytest

from lakehouse.errors import StreamError
from lakehouse.stream.predicate import is_split, parse_predicate

ROWS = pa.table({"split": ["train", "held_out", "train", None], "bucket": [0, 10, 999, 10]})


@pytest.mark.parametrize(
    ("sql", "met"),
    [
        ("", [True, True, True, True]),
        ("TRUE", [True, True, True, True]),
        ("split = 'train'", [True, False, True, False]),
        ("bucket < 10", [True, False, False, False]),
        ("bucket<=10 and bucket>=10", [False, True, False, True]),
        ("bucket > -1 AND split='train' AND bucket < 500", [True, False, False, False]),
        ("split IN ('train', 'held_out')", [True, True, True, False]),
        ("bucket in (0, 999)", [True, False, True, False]),
        ("split = 'o''clock AND bucket'", [False, False, False, False]),
    ],
)
def test_a_predicate_selects_rows_as_sql_does(sql: str, met: list[bool]) -> None:
    assert parse_predicate(sql).holds(ROWS).tolist() == met


@pytest.mark.parametrize(
    "sql",
    [
        "split = 'train' OR bucket = 1",
        "bucket % 2 = 0",
        "bucket < 10 AND",
        "bucket < 10 bucket > 1",
        "bucket IN ()",
        "NOT bucket = 1",
        "bucket <> 1",
        "split = 'train'; DROP TABLE x",
        "alt_text = 'a'",
        "bucket = 'a'",
        "split = 1",
        "bucket = 1.5",
    ],
)
def test_what_is_not_understood_is_refused(sql: str) -> None:
    with pytest.raises(StreamError, match=r"cannot read predicate"):
        parse_predicate(sql)


def test_predicates_join() -> None:
    joined = parse_predicate("bucket < 500") & is_split("train")
    assert joined.holds(ROWS).tolist() == [True, False, False, False]
    assert joined.columns == ("bucket", "split")
