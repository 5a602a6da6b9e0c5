"""Stands in for ``tensorflow.compat``."""
