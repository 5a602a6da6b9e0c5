"""The folder that a tuning makes: under another name until it is whole, and never over something else."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lakehouse.errors import BadInput
from lakehouse.files import write_whole

FACTS: Final = "tuning.json"
"""Says what a folder was made by, and what came of it."""

Settings = Mapping[str, Any]


def is_made(out: Path, settings: Settings) -> bool:
    """Say whether ``out`` was made by ``settings``; raise BadInput where it, or its beginning, is something else."""
    for folder in (out, part_of(out)):
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            continue
        others = _differences(read_facts(folder).get("settings"), settings)
        if others:
            raise BadInput(f"{str(folder)!r} is there already, made {others}: name another --out, or remove it")
    return (out / FACTS).exists()


def begin(out: Path, settings: Settings) -> Path:
    """Return the folder to work in, in which a run that died with the same ``settings`` may have left something."""
    part = part_of(out)
    part.mkdir(parents=True, exist_ok=True)
    if not (part / FACTS).exists():
        write_facts(part, {"settings": settings})
    return part


def finish(out: Path) -> None:
    """Give the folder its name."""
    os.replace(part_of(out), out)


def part_of(out: Path) -> Path:
    """Return where ``out`` is made.

    >>> part_of(Path("models/student")).as_posix()
    'models/student.part'
    """
    return out.with_name(f"{out.name}.part")


def read_facts(folder: Path) -> dict[str, Any]:
    """Return what the folder says of itself; nothing where it says nothing."""
    try:
        facts = json.loads((folder / FACTS).read_text())
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def write_facts(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write what the folder says of itself."""
    write_whole(folder / FACTS, json.dumps(facts, indent=2) + "\n")


def _differences(found: Any, settings: Settings) -> str:
    """Return, in words, by what ``found`` was made that ``settings`` would not do; nothing where it is the same."""
    if not isinstance(found, dict):
        return "by something else"
    wanted = json.loads(json.dumps(settings))
    names = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
    return f"with other settings ({', '.join(names)})" if names else ""
