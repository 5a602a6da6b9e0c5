"""The ledger: every model answer is kept under a key of all that could change it, and asked for once.

An answer goes from the server into the journal, and from there, batch by batch, into the ledger. What the journal of a
run that died still holds is carried over before anything is asked again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.joins import holding
from lakehouse.journal import journal_files, open_journal, remove_files, sizes_of
from lakehouse.lake import Lake, Txn
from lakehouse.table import Table
from lakehouse.under_way import open_notes

Ask = Callable[[DataFrame], DataFrame]
"""Requests in, answers out, each with its ``request_key``; lazy, so that the ledger's append is its only action."""


def request_key(*columns: str, **settings: str) -> Column:
    """Return the key of a request: SHA-256, in hex, of canonical JSON of ``columns`` and ``settings``, sorted by name.

    A null column is part of the key as an absent field, so adding a column that is null changes no key.
    """
    named = {**{name: F.col(name) for name in columns}, **{name: F.lit(value) for name, value in settings.items()}}
    fields = [named[name].alias(name) for name in sorted(named)]
    return F.sha2(F.to_json(F.struct(*fields)), 256)


@dataclass(frozen=True)
class Ledger:
    """The table of answers, and the folder of the journal that stands before it."""

    lake: Lake
    table: Table
    journal: str
    author: Mapping[str, str] = field(default_factory=dict)
    """Who is asked, by columns of the table: files that hold nothing of this author need not be read."""

    def unanswered(self, requests: DataFrame, *, is_whole_table: bool = False) -> DataFrame:
        """Return the ``requests`` that the table says nothing final about; only keys travel.

        One pass over the keys of the author's answers, ten million in three seconds on two cores. The keys of a batch
        go to every task; those of a table that ``is_whole_table`` meet the answers' in a shuffle.
        """
        final = holding(self.lake.read(self.table), self.author).where(F.col("status") != "missed")
        answers = final.select("request_key")
        if is_whole_table:
            return requests.join(answers, on="request_key", how="left_anti")
        known = answers.join(F.broadcast(requests.select("request_key")), on="request_key", how="left_semi")
        return requests.join(F.broadcast(known), on="request_key", how="left_anti")

    def ask_once(self, requests: DataFrame, ask: Ask, *, txn: Txn | None) -> None:
        """Ask for what is not answered yet and append the answers: the one action, as Spark may run a plan again."""
        self.lake.append(self.table, ask(self.unanswered(requests)), txn=txn)
        files = journal_files(self.journal)
        self._keep_open(files)
        remove_files(files)

    def recover(self, read: Callable[[DataFrame], DataFrame]) -> int:
        """Carry over what the journal of a run that died holds, and return how many answers that were.

        ``read`` makes rows of the ledger from rows that name a ``file`` of the journal.
        """
        files = journal_files(self.journal)
        if not files:
            return 0
        sizes = sizes_of(files)
        answers = self._waiting(files, read)
        before = self.lake.read(self.table).count()
        self.lake.append(self.table, answers)
        # A task of a failed run may write for some seconds more: what has grown meanwhile is left to the next time.
        done = tuple(file for file, size in sizes_of(files).items() if size == sizes[file])
        self._keep_open(done)
        remove_files(done)
        return self.lake.read(self.table).count() - before

    def waiting(self, read: Callable[[DataFrame], DataFrame]) -> DataFrame | None:
        """Return the answers that ``recover`` would carry over; None where there is no journal."""
        files = journal_files(self.journal)
        return self._waiting(files, read) if files else None

    def _waiting(self, files: tuple[str, ...], read: Callable[[DataFrame], DataFrame]) -> DataFrame:
        named = self.lake.spark.createDataFrame([(file,) for file in files], "file STRING").repartition(len(files))
        return self.unanswered(read(named).dropDuplicates(["request_key"]))

    def _keep_open(self, files: tuple[str, ...]) -> None:
        """Write anew what is under way: what was paid for or handed in, and did not come to an end."""
        journal = open_journal(self.journal)
        for record in open_notes(files):
            journal.write(record)
        journal.close()
