"""`python -m jobs` lists the jobs, a line each."""

import ast
import difflib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path


def jobs() -> Iterator[tuple[str, str]]:
    """Yield the name and the one line of every job, without importing any: a list must not need Spark."""
    for file in sorted(Path(__file__).parent.glob("*_*.py")):
        if not file.name.startswith("__"):
            yield file.stem, (ast.get_docstring(ast.parse(file.read_text())) or "").splitlines()[0]


def main(argv: Sequence[str]) -> int:
    """Print the list and return 0; for anything asked but that, say what to type instead and return 2."""
    if argv and argv[0] not in ("-h", "--help"):
        print(f"jobs: {_advice(argv[0])}", file=sys.stderr)
        return 2
    print("python -m jobs.NAME --help says more of each.\n")
    for name, line in jobs():
        print(f"  {name:<20} {line}")
    return 0


def _advice(asked: str) -> str:
    names = [name for name, _ in jobs()]
    if asked in names:
        return f"to run it, type python -m jobs.{asked}"
    near = difflib.get_close_matches(asked, names, n=1)
    return f"unknown job {asked!r}: " + (f"did you mean {near[0]}?" if near else "python -m jobs lists them")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
