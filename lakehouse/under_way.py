"""What a journal says is under way: paid for or handed in, and not yet answered."""

from collections.abc import Container, Iterable

from lakehouse.journal import Record, read_records


def left_open(notes: Iterable[Record], answered: Container[str]) -> list[Record]:
    """Return those of ``notes`` that none of the ``answered`` request keys has brought to an end.

    Notes of kind ``unreadable`` are about one request. Notes of kind ``submission`` are about many: what several of
    them say of one submission is put together, and of its ``keys`` only those without an answer are left.
    """
    unreadable: dict[str, Record] = {}
    submissions: dict[str, Record] = {}
    for note in notes:
        if note["kind"] == "unreadable" and note["request_key"] not in answered:
            unreadable[note["request_key"]] = note
        elif note["kind"] == "submission":
            submissions[note["submission"]] = {**submissions.get(note["submission"], {}), **note}
    cut = (
        {**note, "keys": [key for key in note.get("keys", ()) if key not in answered]} for note in submissions.values()
    )
    return [*unreadable.values(), *(note for note in cut if note["keys"])]


def open_notes(files: Iterable[str]) -> list[Record]:
    """Return the notes in ``files`` of a journal that no answer in them has brought to an end."""
    answered: set[str] = set()
    notes = []
    for record in read_records(files):
        if record["kind"] == "answer":
            answered.add(record["request_key"])
        elif record["kind"] != "intent":
            notes.append(record)
    return left_open(notes, answered)
