"""Notebooks, and what executes them: `python -m notebooks.execute`."""
