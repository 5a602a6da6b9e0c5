"""The mechanism of a lakehouse for image-text pairs: tables, writes, runs, ledger, and the stream into a trainer."""

__version__ = "0.1.0"
