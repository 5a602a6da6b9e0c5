"""The report: values in, one self-contained HTML page out. Knows no Spark."""
