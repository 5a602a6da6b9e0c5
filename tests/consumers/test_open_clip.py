"""open_clip's own trainer: on a stream, and on the tars of an export."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.consumers.running import run, told
from tests.lakehouse.stream.lakes import Lake

MODEL = [
    "--model",
    "ViT-S-32-alt",
    "--force-image-size",
    "32",
    "--device",
    "cpu",
    "--precision",
    "fp32",
    "--warmup",
    "1",
]
OURS = ["-m", "lakehouse.stream.open_clip"]


def flags(logs: Path, **given: object) -> list[str]:
    """Return open_clip's flags for a tiny training that writes to ``logs``."""
    settings = {"batch_size": 8, "workers": 0, "logs": logs, "name": "test", **given}
    return [*MODEL, *(word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", str(value)))]


def trained_epochs(logs: Path) -> list[tuple[str, str]]:
    """Return the epochs that were trained to the end, with how many rows they had."""
    said = (logs / "test" / "out.log").read_text()
    return re.findall(r"Train Epoch: (\d+) \[ *(\d+)/\2 \(100%\)\]", said)


@pytest.fixture(scope="module")
def logs(python: Path, lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training on a stream that goes on from its own checkpoint."""
    logs = tmp_path_factory.mktemp("logs")
    for epochs in (1, 2):
        asked = flags(logs, train_num_samples=16, epochs=epochs, resume="latest")
        done = run(python, *OURS, "--lake", lake.path, "--release", "demo", "--held-out", "--", *asked)
        assert done.returncode == 0, done.stderr
    return logs


def test_it_trains_from_a_release(logs: Path) -> None:
    assert trained_epochs(logs) == [("0", "16"), ("1", "16")]
    assert {file.name for file in (logs / "test" / "checkpoints").glob("*.pt")} == {"epoch_1.pt", "epoch_2.pt"}


def test_it_evaluates_on_the_held_out_rows(logs: Path) -> None:
    results = (logs / "test" / "checkpoints" / "results.jsonl").read_text().splitlines()
    assert len(results) == 2
    assert all('"num_samples": 30' in line for line in results)


def test_its_parameters_say_what_it_was_trained_on(logs: Path, lake: Lake) -> None:
    assert f"train_data: {lake.path}#demo\n" in (logs / "test" / "params.txt").read_text()


@pytest.fixture(scope="module")
def rows(python: Path, lake: Lake) -> dict[str, Any]:
    """What two processes get in epochs of 80 rows, which are asked for out of order."""
    return told(python, "open_clip_rows.py", lake.path, 80)


def test_its_epochs_follow_each_other_through_the_release(rows: dict[str, Any]) -> None:
    assert (rows["batches"], rows["samples"], rows["shape"], rows["tokens"]) == (5, 80, [8, 3, 32, 32], [8, 77])
    given = [number for epochs in rows["rows"] for epoch in epochs for batch in epoch for number in batch]
    assert len(given) == len(set(given)) == 3 * 80
    assert all(number % 10 != 9 for number in given)  # none is held out


def test_its_images_are_normalised_as_the_model_wants_them(rows: dict[str, Any]) -> None:
    assert rows["off"] < 0.1  # JPEG changes a colour by a few of 255 levels, which are 0.015 each


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (["--release", "demmo"], [], "error: unknown release 'demmo' in '{lake}': expected one of demo"),
        (["--release", "demo"], ["--train-data", "x.tar"], "error: --train-data is of open_clip's own loaders"),
        (
            ["--release", "demo", "--mix", "alttext=1"],
            [],
            "error: unknown text column 'alttext' in a mix: expected one",
        ),
    ],
)
def test_what_it_cannot_do_is_one_line(
    python: Path, lake: Lake, tmp_path: Path, ours: list[str], theirs: list[str], said: str
) -> None:
    done = run(python, *OURS, "--lake", lake.path, *ours, "--", *flags(tmp_path), *theirs)
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert (done.returncode, line[: len(said.format(lake=lake.path))]) == (1, said.format(lake=lake.path))
    assert "Traceback" not in done.stderr


def test_its_own_loader_trains_from_exported_tars(python: Path, exports: dict[str, Path], tmp_path: Path) -> None:
    tars = f"{exports['webdataset']}/{{00000..00002}}.tar"
    asked = flags(tmp_path, workers=1, train_data=tars, dataset_type="webdataset", batch_size=90, epochs=1)
    done = run(python, "-m", "open_clip_train.main", *asked)
    assert done.returncode == 0, done.stderr
    assert trained_epochs(tmp_path) == [("0", "270")]  # from sizes.json
