"""A table's declaration says what can be written and how it is created."""

import pytest

from lakehouse.table import Column, Table

KITES = Table(
    "silver.kites",
    "A kite",
    columns=(Column("id", "STRING", "Name of the kite"), Column("tails", "ARRAY<STRING>", "Its tails", nullable=True)),
    key=("id",),
    checks={"has_a_name": "id <> 'it''s'"},
)


def test_an_unknown_key_column_names_the_columns_there_are() -> None:
    with pytest.raises(ValueError, match=r"no such column \['b'\]; it has \['a'\]"):
        Table("silver.t", "", columns=(Column("a", "INT", ""),), key=("b",))


@pytest.mark.parametrize("name", ["kites", "Silver.kites", "silver.kites`; DROP TABLE x", "a.b.c", ""])
def test_a_name_that_is_not_layer_and_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="bad table name"):
        Table(name, "", columns=(Column("a", "INT", ""),), key=("a",))


def test_matching_columns_are_no_mismatch() -> None:
    assert KITES.mismatch({"id": "string", "tails": "array<string>"}) is None


def test_a_mismatch_names_every_difference() -> None:
    error = KITES.mismatch({"tails": "string", "colour": "string"})
    assert str(error) == ("cannot write silver.kites: missing id; unknown colour; tails is string, not array<string>")


def test_quotes_in_comments_stay_inside_the_statement() -> None:
    table = Table("silver.t", "it's", columns=(Column("a", "INT", "a 'b' \\"),), key=("a",))
    statement = table.create_statement("/lake/silver/t", {})
    assert "COMMENT 'it\\'s'" in statement
    assert "COMMENT 'a \\'b\\' \\\\'" in statement
