"""Stands in for TensorFlow, so that modules which import it can be collected; see ``compat/v1.py``."""
