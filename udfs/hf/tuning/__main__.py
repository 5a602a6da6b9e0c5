"""`python -m udfs.hf.tuning DATA.jsonl --student FOLDER --out FOLDER`: tune a captioner where there is no Spark."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from lakehouse.cli import POSITIONAL, parse
from lakehouse.outcome import explain, summary
from udfs.hf.tuning import folder
from udfs.hf.tuning.chat_file import ChatFile, open_chats
from udfs.hf.tuning.export import HELD_OUT
from udfs.hf.tuning.recipe import Recipe, settings_of
from udfs.hf.tuning.student import check_student, read_student
from udfs.hf.tuning.student import settings_of as student_settings
from udfs.pace import print_pace


@dataclass(frozen=True, kw_only=True)
class Config(Recipe):
    """Tune a captioner on chat data, as tune_captioner --export-only writes it."""

    data: Annotated[str, "JSONL of chats, with the images beside it", POSITIONAL]
    student: Annotated[str, "model to tune: a folder, or ID?revision=COMMIT of Hugging Face's hub"]
    out: Annotated[str, "folder for the tuned model; it must not be there yet"]
    held_out: Annotated[str, "JSONL for the loss before and after; by default held_out.jsonl beside the data"] = ""


def run(config: Config) -> dict[str, Any]:
    """Tune, unless just this was done before; return what came of it."""
    student = read_student(config.student)
    check_student(student, config)
    chats, held_out = open_chats(Path(config.data)), _held_out(config)
    digests = {"seeds_digest": chats.digest, "held_out_digest": held_out.digest if held_out else None}
    settings = {**student_settings(student), **settings_of(config), **digests}
    out = Path(config.out)
    if folder.is_made(out, settings):
        return {}
    from udfs.hf.tuning.tune import tune

    part = folder.begin(out, settings)
    facts = tune(chats, held_out, student, config, part, progress=partial(print_pace, job="udfs.hf.tuning"))
    folder.write_facts(part, {"settings": settings, **facts})
    folder.finish(out)
    return facts


def main(argv: Sequence[str] | None = None) -> int:
    """Tune from the command line; return 0 when done, 1 when failed with one line. A bad flag exits with 2."""
    config = parse(Config, argv, prog="udfs.hf.tuning")
    try:
        facts = run(config)
    except Exception as error:
        print(f"error: {explain(error)}", file=sys.stderr)
        return 1
    counts = {name: value for name, value in facts.items() if isinstance(value, int)}
    print(summary("udfs.hf.tuning", counts))
    return 0


def _held_out(config: Config) -> ChatFile | None:
    beside = Path(config.data).with_name(HELD_OUT)
    if config.held_out:
        return open_chats(Path(config.held_out))
    return open_chats(beside) if beside.exists() and beside != Path(config.data) else None


if __name__ == "__main__":
    sys.exit(main())
