"""One file a job: a frozen Config, one DataFrame function, a short main. `python -m jobs` lists them."""

import sys
from types import TracebackType


def _say_what_is_missing(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print one line instead of a stack trace where a package that a job imports is not installed."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        sys.__excepthook__(kind, error, trace)
        return
    from lakehouse.outcome import not_installed

    print(f"error: {not_installed(error.name)}", file=sys.stderr)


# Python calls itself so while it looks for the file of `python -m jobs.NAME`; whoever imports a job is left alone.
if sys.argv[:1] == ["-m"]:
    sys.excepthook = _say_what_is_missing
