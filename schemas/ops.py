"""Ops: who ran what, and what was turned away."""

from lakehouse.table import Column, Table

RUNS = Table(
    name="ops.runs",
    comment="A job run",
    key=("run_id",),
    columns=(
        Column("run_id", "STRING", "Identity of the run: time, job and a random part"),
        Column("job", "STRING", "Name of the job"),
        Column("status", "STRING", "succeeded or failed"),
        Column("error", "STRING", "The one line that the user saw, if it failed", nullable=True),
        Column("config", "STRING", "The whole configuration as a JSON object"),
        Column("code_version", "STRING", "Version of the code"),
        Column("counts", "MAP<STRING, BIGINT>", "Rows by what happened to them"),
        Column(
            "versions", "MAP<STRING, BIGINT>", "Delta version, when the run ended, of every table that it read or wrote"
        ),
        Column("started_at", "TIMESTAMP", "UTC"),
        Column("seconds", "DOUBLE", "Wall time of the run"),
        Column("cost_usd", "DOUBLE", "What models cost in this run, in US dollars"),
    ),
)

REJECTS = Table(
    name="ops.rejects",
    comment="A row that was turned away",
    key=("row_id", "stage"),
    cluster_by=("stage", "row_id"),
    statistics=("reason",),
    columns=(
        Column("row_id", "STRING", "sample_id of the pair; at ingest_pairs SHA-256 of source and name within it"),
        Column("stage", "STRING", "Job that turned the row away, with the selection's name where there are several"),
        Column("reason", "STRING", "From the closed list in udfs/reasons.py"),
        Column(
            "detail",
            "STRING",
            "What exactly was wrong, for people; of a duplicate, the sample_id of the pair that stays",
            nullable=True,
        ),
        Column("source", "STRING", "Folder, tar, file or table that the row came from", nullable=True),
        Column("source_uid", "STRING", "Name of the row within its source", nullable=True),
        Column("raw", "BINARY", "The first 4 KiB of what was turned away, where that helps", nullable=True),
        Column("rejected_at", "TIMESTAMP", "When the row was turned away, UTC"),
        Column("run_id", "STRING", "Run that turned it away"),
    ),
)

TABLES = (RUNS, REJECTS)
