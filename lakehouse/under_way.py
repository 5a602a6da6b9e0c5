"""What a journal says is under way: paid for or handed in, and not yet answered."""

from collections.abc import Iterable, Mapping
from typing import Final

from lakehouse.journal import Record, read_records


def left_open(notes: Iterable[Record], ended: Mapping[str, str]) -> list[Record]:
    """Return those of ``notes`` that no end has come to, by the status that each request key of ``ended`` has.

    Notes of kind ``unreadable`` are about one request: where its second question was ``missed``, the first answer is
    there all the same, and what it cost is in the row that says so. Notes of kind ``submission`` are about many: what
    several of them say of one submission is put together, and of its ``keys`` only those that have not ended are left.
    """
    unreadable: dict[str, Record] = {}
    submissions: dict[str, Record] = {}
    for note in notes:
        if note["kind"] == "unreadable" and (status := ended.get(note["request_key"])) in (None, "missed"):
            unreadable[note["request_key"]] = note if status is None else {**note, **_COUNTED}
        elif note["kind"] == "submission":
            submissions[note["submission"]] = {**submissions.get(note["submission"], {}), **note}
    cut = ({**note, "keys": [key for key in note.get("keys", ()) if key not in ended]} for note in submissions.values())
    return [*unreadable.values(), *(note for note in cut if note["keys"])]


_COUNTED: Final = {"input_tokens": 0, "output_tokens": 0, "cost_usd": 0.0}


def open_notes(files: Iterable[str]) -> list[Record]:
    """Return the notes in ``files`` of a journal that no answer in them has brought to an end."""
    ended: dict[str, str] = {}
    notes = []
    for record in read_records(files):
        if record["kind"] == "answer":
            ended[record["request_key"]] = record["status"]
        elif record["kind"] != "intent":
            notes.append(record)
    return left_open(notes, ended)
