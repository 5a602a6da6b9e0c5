"""What recaptions and HQ-CLIP's losses pay: trainings that differ in nothing else, measured on held-out pairs.

    make demo                          # the lake whose release is trained on
    make bench NAME="stream losses"    # trains what is not trained yet: after a kill, the same command goes on

Loss weights are those that train_clip has by default; nobody tuned them for this. The demo's recaptions are written by
rules from alt-text, tags and colours: they say more than the alt-text, and a reader without the image tells most of
their negatives. The trainings stay in a lake of their own, whose report shows them as well:

    python -m jobs.report_lakehouse --lake build/bench/losses/lake --out build/bench/losses/report.html
"""

import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.stream.outcomes import QUERIES, blind_outcomes, images_of, outcomes_of, subject_of
from benchmarks.stream.seeds import Floats, compared, summed_up
from jobs import evaluate_clip, train_clip
from lakehouse.errors import BadInput
from lakehouse.lake_mark import MARK
from lakehouse.small_rows import table_path
from lakehouse.stream.releases import Release, read_release
from lakehouse.trainer_job import TrainerJob
from schemas.gold import RELEASES, TRAINING
from udfs.clip.recipe import Recipe

DEMO: Final = Path("build/demo/lake")
OWN: Final = Path("build/bench/losses/lake")
"""Outside the folder that a part begins anew: all trainings together take long."""

EPOCHS: Final = 8
SEEDS: Final = (0, 1, 2)


@dataclass(frozen=True)
class Arm:
    """What trainings of one kind are fed, and which losses they have beside the contrastive one."""

    mix: str
    has_hni: bool = False
    has_stc: bool = False

    @property
    def flags(self) -> dict[str, object]:
        """What train_clip is told; a loss that is in keeps its default weight."""
        losses = {"hni_weight": self.has_hni, "stc_weight": self.has_stc}
        return {"mix": self.mix, **{name: 0 for name, is_in in losses.items() if not is_in}}


_MIX: Final = "alt_text=0.5,long_positive=0.5"

ARMS: Final[Mapping[str, Arm]] = {
    "alt_text": Arm("alt_text=1"),
    "recaptions": Arm("long_positive=1"),
    "mix": Arm(_MIX),
    "mix_hni": Arm(_MIX, has_hni=True),
    "mix_hni_stc": Arm(_MIX, has_hni=True, has_stc=True),
    "web_text": Arm("web_text=1"),
}
"""The last is a control: alt-text with the web's tags, all but colours that the recaptions were written from."""

DIFFERENCES: Final = (
    ("recaptions", "alt_text"),
    ("mix", "recaptions"),
    ("mix_hni", "mix"),
    ("mix_hni_stc", "mix_hni"),
    ("mix", "alt_text"),
    ("recaptions", "web_text"),
    ("mix", "web_text"),
)
"""Of each two arms, what the first gains over the second."""


def measure(_: Path) -> dict[str, Any]:
    """Return what each arm finds among held-out pairs, and how far the arms are apart, by rows and by seeds."""
    lake, release = own_lake(DEMO, OWN)
    facts = [trained(lake, release, arm, seed) for seed in SEEDS for arm in ARMS]
    found = {arm: _stacked([_outcomes(lake, release, arm, seed) for seed in SEEDS]) for arm in ARMS}
    images = images_of(subject_of(str(lake), folder_of(lake, next(iter(ARMS)), SEEDS[0]), release))
    return {
        "corpus": _corpus(release),
        "budget": _budget(facts),
        "loss_weights": {"hni": Recipe.hni_weight, "stc": Recipe.stc_weight},
        "seeds": SEEDS,
        "a_reader_of_words_alone": _blind(str(lake), release),
        "arms": {
            name: {"flags": arm.flags, "figures": _each(summed_up, images, found[name])} for name, arm in ARMS.items()
        },
        "differences": {
            f"{one} - {other}": _each(compared, images, found[one], found[other]) for one, other in DIFFERENCES
        },
    }


def own_lake(demo: Path, lake: Path) -> tuple[Path, Release]:
    """Return a lake that holds the demo's release as it is now beside the trainings of earlier runs, and the release.

    Raises:
        BadInput: there is no lake with a release at ``demo``
    """
    if not (demo / MARK).exists() or not Path(table_path(str(demo), RELEASES)).exists():
        raise BadInput(f"there is no release in {str(demo)!r}: run make demo first")
    lake.mkdir(parents=True, exist_ok=True)
    shutil.copy(demo / MARK, lake)
    for table in (TRAINING, RELEASES):
        shutil.rmtree(table_path(str(lake), table), ignore_errors=True)
        shutil.copytree(table_path(str(demo), table), table_path(str(lake), table))
    return lake, read_release(str(lake), train_clip.newest_release(str(lake), ""))


def trained(lake: Path, release: Release, arm: str, seed: int) -> dict[str, Any]:
    """Return what a training says of itself, once it is there and evaluated; the jobs see what has been done."""
    name = folder_of(lake, arm, seed).name
    print(f"-- {name}", file=sys.stderr)
    flags = {"lake": lake, "release": release.release, "name": name, "epochs": EPOCHS, "seed": seed, **ARMS[arm].flags}
    _command(train_clip.JOB, flags)
    suites = {"texts": ",".join(QUERIES[1:]), "hard_negatives": True, "max_pairs": release.held_out_rows}
    _command(evaluate_clip.JOB, {"lake": lake, "name": name, **suites})
    facts: dict[str, Any] = json.loads((lake / "_models" / name / "training.json").read_text())
    return facts


def folder_of(lake: Path, arm: str, seed: int) -> Path:
    """Return where the checkpoint of ``arm`` by ``seed`` lies."""
    return lake / "_models" / f"{arm}-{seed}"


def _command(job: TrainerJob[Any], flags: Mapping[str, object]) -> None:
    """Run ``job`` as from the command line, in this process: thirty times torch and transformers take a while."""
    given = (f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}") for name, value in flags.items())
    if job.main(list(given)):
        raise BadInput(f"{job.name} failed: see above; the same command goes on from there")


def _outcomes(lake: Path, release: Release, arm: str, seed: int) -> dict[str, Floats]:
    return outcomes_of(subject_of(str(lake), folder_of(lake, arm, seed), release))


def _blind(lake: str, release: Release) -> dict[str, Any]:
    found = blind_outcomes(lake, release).items()
    return {length: summed_up(values[None], images=images) for length, (values, images) in found if len(values)}


def _stacked(seeds: Sequence[Mapping[str, Floats]]) -> dict[str, Floats]:
    """Return each metric's outcomes as (seeds, rows)."""
    return {metric: np.stack([one[metric] for one in seeds]) for metric in seeds[0]}


def _each(told: Callable[..., Any], images: Sequence[str], *sides: Mapping[str, Floats]) -> dict[str, Any]:
    return {metric: told(*(side[metric] for side in sides), images=images) for metric in sides[0]}


def _corpus(release: Release) -> dict[str, Any]:
    return {
        "release": release.release,
        "digest": release.digest,
        "train_rows": release.train_rows,
        "held_out_rows": release.held_out_rows,
        "negatives": dict(release.negatives),
    }


def _budget(facts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what all trainings were given alike; raise where they were not."""
    alike = [{name: one[name] for name in ("steps", "samples", "rows", "parameters")} for one in facts]
    if any(one != alike[0] for one in alike):
        raise BadInput(f"the trainings are of different length, {alike}: remove {str(OWN)!r} and train anew")
    settings = facts[0]["settings"]
    return {
        **alike[0],
        **{name: settings[name] for name in ("epochs", "batch_size", "image_size", "learning_rate")},
        "seconds_of_a_training": [one["seconds"] for one in facts],
    }
