"""Every table of the lakehouse, declared once."""

from schemas import bronze, gold, ops, silver

TABLES = (*bronze.TABLES, *silver.TABLES, *gold.TABLES, *ops.TABLES)
