"""Stands in for ``tensorflow.compat.v1``: its names can be mentioned, and whatever is done with one fails.

A test that comes so far is counted as one that needs TensorFlow, neither as passed nor as failed.
"""

__version__ = "2.0.0"


class NeedsTensorFlow(Exception):
    """Somebody has used TensorFlow."""


class Anything:
    """A name of TensorFlow's: it can be mentioned, and no more."""

    def __getattr__(self, name: str) -> "Anything":
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything()

    def __call__(self, *_: object, **__: object) -> None:
        raise NeedsTensorFlow


def __getattr__(name: str) -> Anything:
    if name.startswith("__"):
        raise AttributeError(name)
    return Anything()
