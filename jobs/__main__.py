"""`python -m jobs` lists the jobs, a line each."""

import ast
from collections.abc import Iterator
from pathlib import Path


def jobs() -> Iterator[tuple[str, str]]:
    """Yield the name and the one line of every job, without importing any: a list must not need Spark."""
    for file in sorted(Path(__file__).parent.glob("*_*.py")):
        if not file.name.startswith("__"):
            yield file.stem, (ast.get_docstring(ast.parse(file.read_text())) or "").splitlines()[0]


def main() -> None:
    """Print the list."""
    print("python -m jobs.NAME --help says more of each.\n")
    for name, line in jobs():
        print(f"  {name:<20} {line}")


if __name__ == "__main__":
    main()
