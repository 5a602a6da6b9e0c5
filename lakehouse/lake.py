"""A lake: tables under one root, opened by one run; every read and write of a job goes through it."""

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from delta.tables import DeltaTable
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.errors import BadInput
from lakehouse.files import write_whole
from lakehouse.lake_mark import FORMAT, MARK, check_mark, mark_text, read_local_mark
from lakehouse.lake_root import is_local, normal_root
from lakehouse.persisted import persisted
from lakehouse.table import Table

_PROPERTIES = {"delta.enableChangeDataFeed": "true", "lakehouse.format": str(FORMAT)}


@dataclass(frozen=True)
class Txn:
    """What makes a write idempotent: Delta refuses a second commit of the same app and version."""

    app_id: str
    version: int


@dataclass
class Lake:
    """Tables by name under one root, for one run.

    ``touched`` collects the names of tables that were read or written, ``written`` those that a row went into, and
    ``costs`` what was paid to models, in US dollars.
    """

    root: str
    spark: SparkSession
    tables: Mapping[str, Table]
    run_id: str
    touched: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    costs: list[float] = field(default_factory=list)

    def path(self, table: Table) -> str:
        """Return where ``table`` lies: ``<root>/<layer>/<name>``."""
        return f"{self.root}/{table.name.replace('.', '/')}"

    def checkpoint(self, name: str, *settings: str) -> str:
        """Return where the stream called ``name`` keeps its place: under other ``settings`` it has another."""
        return place(f"{self.root}/_checkpoints", name, *settings)

    def setting(self, name: str) -> str | None:
        """Return the line that is kept under ``name``; None where there is none."""
        return _read_text(self, f"{self.root}/_settings/{name}")

    def settle(self, name: str, line: str) -> None:
        """Keep ``line`` under ``name`` as long as the lake lives, unless there is one already."""
        if self.setting(name) is None:
            _write_text(self, f"{self.root}/_settings/{name}", line)

    def exists(self, table: Table) -> bool:
        """Say whether ``table`` was ever written."""
        return DeltaTable.isDeltaTable(self.spark, self.path(table))

    def read(self, table: Table) -> DataFrame:
        """Return the rows of ``table``; no rows, with its columns, where it was never written.

        Of a nullable column that the table does not have yet, every row has null.
        """
        self.touched.add(table.name)
        if not self.exists(table):
            return self.spark.createDataFrame([], ", ".join(f"`{c.name}` {c.type}" for c in table.columns))
        rows = self.spark.read.format("delta").load(self.path(table))
        lacking = [column for column in table.columns if column.nullable and column.name not in rows.columns]
        return rows.withColumns({one.name: F.lit(None).cast(one.type) for one in lacking}) if lacking else rows

    def stream(self, table: Table, *, batch_bytes: int, needs: str) -> DataFrame:
        """Return ``table`` as a stream of appended rows; ``needs`` names the job that fills it, for the error."""
        if not self.exists(table):
            raise BadInput(f"{table.name} is not there yet in {self.root!r}: run {needs} first")
        self.touched.add(table.name)
        reader = self.spark.readStream.format("delta").option("maxBytesPerTrigger", batch_bytes)
        return reader.load(self.path(table))

    def append(self, table: Table, rows: DataFrame, *, txn: Txn | None = None) -> None:
        """Add ``rows`` to ``table``, created if need be; a repeated ``txn`` adds nothing.

        Columns may come in any order; ``run_id`` is filled in. A nullable column that the table does not have yet is
        added to it. Raises SchemaMismatch for missing or unknown columns.
        """
        ready = self._conform(table, rows)
        self.create(table)
        writer = ready.write.format("delta").mode("append").option("mergeSchema", "true")
        if txn is not None:
            writer = writer.option("txnAppId", txn.app_id).option("txnVersion", txn.version)
        writer.save(self.path(table))
        self.touched.add(table.name)
        self.written.add(table.name)

    def backlog(self, table: Table, checkpoint: str) -> int | None:
        """Return the rows that wait where a stream of ``table`` starts; None where it goes on from earlier."""
        is_fresh = is_local(self.root) and not Path(checkpoint).exists()
        return self.read(table).count() if is_fresh else None

    def upsert(self, table: Table, rows: DataFrame, *, key: str, unless_same: tuple[str, ...], txn: Txn) -> None:
        """Add the ``rows`` whose ``key`` is new, and replace those that differ from theirs in ``unless_same``.

        New rows are appended where they are: a MERGE of all of them would shuffle what they carry.
        """
        if not self.exists(table):
            self.append(table, rows, txn=txn)
            return
        known = self.read(table).select(key, *unless_same).join(F.broadcast(rows.select(key)), on=key, how="left_semi")
        self.append(table, rows.join(F.broadcast(known.select(key)), on=key, how="left_anti"), txn=txn)
        same = known.join(F.broadcast(rows.select(key, *unless_same)), on=[key, *unless_same], how="left_semi")
        with persisted(known.join(same, on=key, how="left_anti").select(key)) as changed:
            if not changed.isEmpty():
                self._replace(table, rows.join(F.broadcast(changed), on=key, how="left_semi"), key, txn)

    def remove(self, table: Table, rows: DataFrame, *, key: str) -> None:
        """Take the rows out of ``table`` whose ``key`` is in ``rows``; a key that is not there is passed over."""
        target = DeltaTable.forPath(self.spark, self.path(table)).alias("old")
        gone = rows.select(key).distinct().alias("gone")
        target.merge(gone, f"old.`{key}` = gone.`{key}`").whenMatchedDelete().execute()
        self.touched.add(table.name)
        self.written.add(table.name)

    def _replace(self, table: Table, rows: DataFrame, key: str, txn: Txn) -> None:
        settings = {"txnAppId": f"{txn.app_id}-replace", "txnVersion": str(txn.version)}
        for name, value in settings.items():
            self.spark.conf.set(f"spark.databricks.delta.write.{name}", value)
        try:
            target = DeltaTable.forPath(self.spark, self.path(table)).alias("old")
            merge = target.merge(self._conform(table, rows).alias("new"), f"old.`{key}` = new.`{key}`")
            merge.whenMatchedUpdateAll().execute()
        finally:
            for name in settings:
                self.spark.conf.unset(f"spark.databricks.delta.write.{name}")
        self.written.add(table.name)

    def create(self, table: Table) -> None:
        """Create ``table`` if it is not there."""
        if not self.exists(table):
            self._clear_unmade(table)
            self.spark.sql(table.create_statement(self.path(table), _PROPERTIES))

    def _clear_unmade(self, table: Table) -> None:
        """Remove the log without a commit of a run that died while it made ``table``: to Spark it is a table.

        A bucket has no such remains: there a commit is one object, all or nothing.
        """
        log = Path(self.path(table)) / "_delta_log"
        if not (is_local(self.root) and log.is_dir()) or any(log.glob("[0-9]*")):
            return
        if list(log.parent.iterdir()) == [log]:
            shutil.rmtree(log)

    def version(self, table: Table) -> int:
        """Return the newest Delta version of ``table``."""
        history = DeltaTable.forPath(self.spark, self.path(table)).history(1)
        return int(history.select("version").collect()[0][0])

    def register(self) -> list[str]:
        """Make SQL see every table by its name (``gold.captions``) and return the names.

        A name that stood for another lake's table stands for this one's now. In a catalog that outlives the session
        it is left alone, and BadInput says so: an answer from another lake would look like one from this.
        """
        there = [table for table in self.tables.values() if self.exists(table)]
        for layer in sorted({table.layer for table in there}):
            self.spark.sql(f"CREATE SCHEMA IF NOT EXISTS {layer} LOCATION '{_sql_path(self.root)}/{layer}'")
        is_passing = self.spark.conf.get("spark.sql.catalogImplementation") == "in-memory"
        for table, entry in self._catalogued():
            if is_passing:
                self._forget(table, entry)
            else:
                self._check_place(table, entry)
        for table in there:
            location = _sql_path(self.path(table))
            self.spark.sql(f"CREATE TABLE IF NOT EXISTS {table.name} USING delta LOCATION '{location}'")
        return [table.name for table in there]

    def _catalogued(self) -> Iterator[tuple[Table, str]]:
        """Yield each table whose name is in the catalog, with what the catalog says of it: `Location: file:/x` ..."""
        for layer in sorted({table.layer for table in self.tables.values()}):
            if not self.spark.catalog.databaseExists(layer):
                continue
            # Not tableExists: it reads the table, and fails where its folder is gone.
            for row in self.spark.sql(f"SHOW TABLE EXTENDED IN {layer} LIKE '*'").collect():
                table = self.tables.get(f"{layer}.{row.tableName}")
                if table is not None and not row.isTemporary:
                    yield table, row.information

    def _forget(self, table: Table, entry: str) -> None:
        """Take ``table`` out of the catalog; its data stays."""
        if not re.search(r"^Type: EXTERNAL$", entry, re.MULTILINE):
            raise BadInput(f"the catalog has a table {table.name} that is no lake's: drop it, or start Spark anew")
        self.spark.sql(f"DROP TABLE {table.name}")

    def _check_place(self, table: Table, entry: str) -> None:
        found = re.search(r"^Location: (.+)$", entry, re.MULTILINE)
        place = normal_root(found[1]) if found else "no place of its own"
        if place != self.path(table):
            raise BadInput(
                f"the catalog has {table.name} at {place!r}, not in {self.root!r}: "
                f"DROP TABLE {table.name} there, or name the lake that it belongs to"
            )

    def _conform(self, table: Table, rows: DataFrame) -> DataFrame:
        if "run_id" in table.column_names and "run_id" not in rows.columns:
            rows = rows.withColumn("run_id", F.lit(self.run_id))
        mismatch = table.mismatch({column.name: column.dataType.simpleString() for column in rows.schema.fields})
        if mismatch is not None:
            raise mismatch
        return rows.select(*table.column_names)


def place(folder: str, name: str, *settings: str) -> str:
    """Return where what is called ``name`` lies in ``folder``: under other ``settings`` it has another place."""
    told_apart = [hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]] if settings else []
    return "-".join([f"{folder}/{name}", *told_apart])


def open_lake(root: str, *, spark: SparkSession, tables: Iterable[Table], run_id: str) -> Lake:
    """Return the lake at ``root``, made if it is not there; raise NewerLake if newer code wrote it."""
    lake = Lake(normal_root(root), spark, {table.name: table for table in tables}, run_id)
    _check_format(lake)
    return lake


def _check_format(lake: Lake) -> None:
    text = read_local_mark(lake.root) if is_local(lake.root) else _read_text(lake, f"{lake.root}/{MARK}")
    if text is None:
        _write_text(lake, f"{lake.root}/{MARK}", mark_text())
    else:
        check_mark(text, lake.root)


def _write_text(lake: Lake, path: str, line: str) -> None:
    if is_local(lake.root):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_whole(Path(path), line + "\n")
    else:
        lake.spark.createDataFrame([(line,)], "value STRING").coalesce(1).write.text(path)


def _read_text(lake: Lake, path: str) -> str | None:
    if is_local(lake.root):
        return Path(path).read_text().strip() if Path(path).exists() else None
    try:
        return str(lake.spark.read.text(path).collect()[0][0])
    except AnalysisException as error:
        if error.getCondition() == "PATH_NOT_FOUND":
            return None
        raise


def _sql_path(path: str) -> str:
    return path.replace("\\", "\\\\").replace("'", "\\'")
