"""The ledger: every model answer is kept under a key of all that could change it, and asked for once."""

from collections.abc import Callable

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.lake import Lake, Txn
from lakehouse.table import Table

Ask = Callable[[DataFrame], DataFrame]
"""Requests in, answers out, each with its ``request_key``; lazy, so that the ledger's append is its only action."""


def request_key(*columns: str, **settings: str) -> Column:
    """Return the key of a request: SHA-256, in hex, of canonical JSON of ``columns`` and ``settings``, sorted by name.

    A null column is part of the key as an absent field, so adding a column that is null changes no key.
    """
    named = {**{name: F.col(name) for name in columns}, **{name: F.lit(value) for name, value in settings.items()}}
    fields = [named[name].alias(name) for name in sorted(named)]
    return F.sha2(F.to_json(F.struct(*fields)), 256)


def unanswered(lake: Lake, ledger: Table, requests: DataFrame) -> DataFrame:
    """Return the ``requests`` without an answer in ``ledger``; only keys travel."""
    answers = lake.read(ledger).where(F.col("status") == "answered").select("request_key")
    known = answers.join(F.broadcast(requests.select("request_key")), on="request_key", how="left_semi")
    return requests.join(F.broadcast(known), on="request_key", how="left_anti")


def ask_once(lake: Lake, ledger: Table, requests: DataFrame, ask: Ask, *, txn: Txn) -> None:
    """Ask for what is not answered yet and append the answers: the one action, as Spark may evaluate a plan again."""
    lake.append(ledger, ask(unanswered(lake, ledger, requests)), txn=txn)
