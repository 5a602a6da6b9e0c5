"""A judge looks at images and rates what is said of them, through the ledger: every rating is paid once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from jobs.asking import STATEMENT, Asking, AskingLimits
from lakehouse.errors import BadInput
from lakehouse.lake import Lake
from lakehouse.outcome import Counts
from schemas.silver import SAMPLES
from udfs.audit import RATED
from udfs.models import load
from udfs.prompts import read_prompt
from udfs.ratings import parse_rating
from udfs.tasks import RATE

Ratings = Sequence[Mapping[str, float | None]]
"""A row a sample: the rating of each kind of text, 0 to 10, or null where the judge's answer could not be used."""


def check_judge(model: str, prompt: str) -> None:
    """Raise a LakehouseError for a prompt or a model that there is not, and for a model that is shown no image."""
    read_prompt(prompt)
    if not load(model).needs_image:
        raise BadInput(f"{model} cannot judge: it is shown no image")


@dataclass(frozen=True)
class Judging:
    """One judge, and the sampled rows whose texts it is to rate."""

    asking: Asking
    rows: Sequence[Row]

    @classmethod
    def of(cls, lake: Lake, limits: AskingLimits, rows: Sequence[Row], *, model: str, prompt: str) -> "Judging":
        """Return the judging of ``rows`` by ``model`` under ``prompt``, within ``limits``."""
        return cls(Asking(lake, limits.to_ask(model, prompt), RATE, read_prompt(prompt)), rows)

    @property
    def name(self) -> str:
        """The judge, with what its ratings depend on."""
        model, revision, prompt_hash = self.asking.author.values()
        return f"{model}@{revision[:12]}/{prompt_hash[:12]}"

    def plan(self) -> Counts:
        """Return what the judging would come to."""
        return self.asking.plan(self._statements())

    def ask(self, job: str) -> Counts:
        """Have rated what is not rated yet; return counts of the answers."""
        with self.asking.governor() as governor:
            return self.asking.ask_about(self._statements(), governor, job)

    def ratings(self) -> Ratings | None:
        """Return the ratings of each row; None where some texts were not answered about yet."""
        told = self.asking.requests(self._statements()).select("request_key", "sample_id", STATEMENT)
        answers = self.asking.answers_to(self._statements()).select("request_key", "answer")
        rows = told.join(F.broadcast(answers), on="request_key", how="inner").collect()
        found = {(row.sample_id, row[STATEMENT]): parse_rating(row.answer).value for row in rows}
        if len(found) < len(self._texts()):
            return None
        return [{kind: found.get((row.sample_id, row[kind])) for kind in RATED} for row in self.rows]

    def _texts(self) -> list[tuple[str, str]]:
        """Return what is to be rated, each text of a sample once: the same words twice are one request."""
        return sorted({(row.sample_id, row[kind]) for row in self.rows for kind in RATED if row[kind].strip()})

    def _statements(self) -> DataFrame:
        lake = self.asking.lake
        texts = lake.spark.createDataFrame(self._texts(), f"sample_id STRING, {STATEMENT} STRING")
        return lake.read(SAMPLES).join(F.broadcast(texts), on="sample_id", how="inner")
