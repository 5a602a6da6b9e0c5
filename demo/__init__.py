"""The demo: real pairs from public packages, the whole pipeline, a table of results."""
