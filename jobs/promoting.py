"""Who is promoted: the model and the prompt whose texts are published where no one is named."""

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pyspark.sql import functions as F

from lakehouse.errors import LakehouseError
from lakehouse.lake import Lake
from schemas.gold import PROMOTIONS
from udfs.ask import author_of
from udfs.prompts import read_prompt

KIND: Final = "descriptions"

MODEL: Final = "rules://"
PROMPT: Final = "hqclip_student"
"""Whose texts are published where no one was named or promoted."""


@dataclass(frozen=True)
class Writer:
    """A model under a prompt: as the command line names the two, and as columns of the table that it writes tell it."""

    model: str
    prompt: str
    author: Mapping[str, str]
    job: str = "describe_images"

    @property
    def command(self) -> str:
        """What has to be run where texts of it are missing."""
        return f"{self.job} --model {shlex.quote(self.model)} --prompt {self.prompt}"


def writer_of(model: str, prompt: str) -> Writer:
    """Return who writes where ``model`` answers to ``prompt``; raise UnknownModel or BadInput if there is none."""
    return Writer(model, prompt, author_of(model, read_prompt(prompt)))


def promoted(lake: Lake) -> Writer | None:
    """Return the writer who was promoted last, as it was then; None where nobody was."""
    newest = lake.read(PROMOTIONS).where(F.col("kind") == KIND).orderBy(F.desc("promoted_at")).first()
    if newest is None:
        return None
    author = {"model": newest.identity, "revision": newest.revision, "prompt_hash": newest.prompt_hash}
    return Writer(newest.model, newest.prompt, author)


def promote(lake: Lake, writer: Writer, *, why: str) -> int:
    """Have ``writer`` published from here on, unless it is already; return how many rows that took."""
    newest = promoted(lake)
    if newest is not None and newest.author == writer.author:
        return 0
    author = {**writer.author, "identity": writer.author["model"]}
    values = {"kind": KIND, **author, "model": writer.model, "prompt": writer.prompt, "why": why}
    row = lake.spark.createDataFrame([tuple(values.values())], ", ".join(f"{name} STRING" for name in values))
    lake.append(PROMOTIONS, row.withColumn("promoted_at", F.current_timestamp()))
    return 1


def writer_to_publish(lake: Lake, *, model: str, prompt: str) -> Writer:
    """Return who is to be published: what is named by hand, else the promoted one's, else the rules'.

    A promoted writer is taken at the revision at which it was promoted.
    """
    newest = promoted(lake)
    if newest is None or model or prompt:
        own = newest or Writer(MODEL, PROMPT, {})
        return writer_of(model or own.model, prompt or own.prompt)
    print(
        f"note: what {newest.model} says with {newest.prompt} is to be published, as it was promoted", file=sys.stderr
    )
    _tell_if_changed(newest)
    return newest


def _tell_if_changed(writer: Writer) -> None:
    try:
        is_same = writer_of(writer.model, writer.prompt).author == writer.author
    except LakehouseError:
        return  # its folder may be gone: what it wrote is there
    if not is_same:
        print(
            f"note: {writer.model} or its prompt has changed since: promote it anew for its new texts", file=sys.stderr
        )
