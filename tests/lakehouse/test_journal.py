"""What is written into the journal is read again, whatever happened to its files since."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import BadInput
from lakehouse.journal import check_writable, journal_files, open_journal, read_records, remove_files
from lakehouse.under_way import open_notes

RECORDS: list[dict[str, Any]] = [
    {"kind": "intent", "request_key": "a"},
    {"kind": "answer", "request_key": "a", "answer": 'says "hello"\n\ud800 \0 \u2028', "cost_usd": 0.5, "raw": None},
]


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder of this machine, and one that is written as a bucket is: object by object."""
    return f"{tmp_path}/journal" if request.param == "folder" else f"file://{tmp_path}/journal"


def write(place: str, *records: dict[str, Any]) -> None:
    journal = open_journal(place)
    for record in records:
        journal.write(record)
    journal.close()


def read(place: str) -> list[dict[str, Any]]:
    return list(read_records(journal_files(place)))


def test_what_was_written_is_read(place: str) -> None:
    write(place, *RECORDS)
    assert read(place) == RECORDS


def test_two_writers_do_not_meet(place: str) -> None:
    one, other = open_journal(place), open_journal(place)
    for number in range(10):
        one.write({"writer": 1, "number": number})
        other.write({"writer": 2, "number": number})
        one.keep()
    one.close()
    other.close()
    found = read(place)
    assert len(found) == 20
    assert [record["number"] for record in found if record["writer"] == 1] == list(range(10))


def test_a_writer_that_writes_nothing_leaves_no_file(place: str) -> None:
    open_journal(place).close()
    assert journal_files(place) == ()


def test_where_there_is_no_journal_nothing_is_read(place: str) -> None:
    assert read(place) == []


def test_removed_files_are_gone(place: str) -> None:
    write(place, *RECORDS)
    remove_files(journal_files(place))
    assert read(place) == []


def test_a_record_is_there_before_it_is_kept(tmp_path: Path) -> None:
    """A process that is killed takes nothing along that it had handed to the system."""
    journal = open_journal(str(tmp_path))
    journal.write(RECORDS[1])
    assert read(str(tmp_path)) == [RECORDS[1]]
    journal.close()


def damaged(tmp_path: Path, damage: Callable[[bytes], bytes]) -> list[dict[str, Any]]:
    write(str(tmp_path), *({"number": number} for number in range(5)))
    [file] = journal_files(str(tmp_path))
    Path(file).write_bytes(damage(Path(file).read_bytes()))
    return read(str(tmp_path))


@given(cut=st.integers(0, 200))
def test_a_file_that_was_cut_off_keeps_the_records_before(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    found = damaged(tmp_path_factory.mktemp("cut"), lambda content: content[:cut])
    assert found == [{"number": number} for number in range(len(found))]


@given(place=st.integers(0, 90), bit=st.integers(0, 7))
def test_a_flipped_bit_is_never_taken_for_a_record(
    tmp_path_factory: pytest.TempPathFactory, place: int, bit: int
) -> None:
    def flip(content: bytes) -> bytes:
        place_ = place % len(content)
        return content[:place_] + bytes([content[place_] ^ 1 << bit]) + content[place_ + 1 :]

    found = damaged(tmp_path_factory.mktemp("flip"), flip)
    assert len(found) >= 3
    assert all(record in [{"number": number} for number in range(5)] for record in found)


@pytest.mark.parametrize(("status", "costs"), [(None, [0.25]), ("missed", [0.0]), ("answered", [])])
def test_a_first_answer_is_kept_until_the_second_question_is_answered(
    status: str | None, costs: list[float], tmp_path: Path
) -> None:
    """That no server answered it says nothing about the first answer, which is paid, and counted in that row."""
    journal = open_journal(str(tmp_path))
    journal.write({"kind": "unreadable", "request_key": "k", "input_tokens": 9, "output_tokens": 9, "cost_usd": 0.25})
    if status is not None:
        journal.write({"kind": "answer", "request_key": "k", "status": status})
    journal.close()
    assert [note["cost_usd"] for note in open_notes(journal_files(str(tmp_path)))] == costs


def test_a_folder_that_takes_no_journal_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"cannot write a journal in '.*/file/journal': Not a directory"):
        check_writable(f"{tmp_path}/file/journal")


def test_the_folder_that_is_made_for_a_journal_is_left_empty(tmp_path: Path) -> None:
    check_writable(f"{tmp_path}/new/journal")
    assert list((tmp_path / "new/journal").iterdir()) == []
