"""A tiny model is measured by every suite: on a lake without a JVM, and on suites that lie on disk."""

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from jobs import evaluate_clip
from lakehouse.errors import BadInput
from lakehouse.lake_mark import MARK, mark_text
from lakehouse.small_rows import append_rows, read_rows
from schemas.gold import EVALUATIONS, TAGS, WEBS_OWN
from tests.lakehouse.stream.lakes import training_rows, write_lake
from tests.udfs.clip.tiny import TINY
from udfs.clip.model import save_clip, small_clip
from udfs.clip.tokenizer import train_tokenizer

ROWS = 120
COLOURS = {"red kite": (220, 30, 30), "blue_boat": (30, 30, 220), "green tree": (30, 200, 30)}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written_lake(tmp_path_factory.mktemp("lakes") / "lake", training_rows(ROWS))


def written_lake(root: Path, rows: pa.Table) -> Path:
    write_lake(root, rows.append_column("web_text", [[f"alt {number % 9}, kite" for number in range(ROWS)]]))
    (root / MARK).write_text(mark_text())
    made = {"vocabulary": "v1", "samples": 5, "built_at": datetime.now(UTC), "run_id": ""}
    append_rows(str(root), TAGS, [made | {"tag_id": place, "tag": f"tag {place}"} for place in range(7)])
    return root


@pytest.fixture(scope="module")
def checkpoint(lake: Path) -> Path:
    folder = lake / "_models" / "tiny"
    tokenizer = train_tokenizer(
        [f"alt {n} long not kite tree car beach" for n in range(60)], vocab_size=300, max_tokens=16
    )
    save_clip(folder, small_clip(tokenizer, TINY, seed=5), tokenizer)
    (folder / "training.json").write_text(json.dumps({"settings": {"release": "demo"}}))
    return folder


def picture(colour: tuple[int, int, int], seed: int) -> bytes:
    buffer = io.BytesIO()
    image = Image.new("RGB", (24, 20), colour)
    image.putpixel((seed % 24, seed % 20), (255, 255, 255))
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    folder = tmp_path / "shapes"
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for number in range(8):
            (folder / name / f"{number}.png").write_bytes(picture(colour, number))
    return folder


def measured(lake: Path, **flags: Any) -> dict[str, dict[str, Any]]:
    """What one more run of the job wrote, by metric; without what it measures unasked if there are flags."""
    before = len(read_rows(str(lake), EVALUATIONS))
    evaluate_clip.JOB.run(evaluate_clip.Config(str(lake), name="tiny", **flags))
    return {row["metric"]: row for row in of_run(lake, before) if not flags or WEBS_OWN not in row["dataset"]}


def of_run(lake: Path, before: int) -> Iterator[dict[str, Any]]:
    rows = sorted(read_rows(str(lake), EVALUATIONS), key=lambda row: row["evaluated_at"])
    yield from rows[before:]


@pytest.fixture(scope="module")
def default(lake: Path, checkpoint: Path) -> dict[str, dict[str, Any]]:
    """What is measured without a flag, before anything else is."""
    return measured(lake)


def test_without_a_flag_the_webs_own_words_are_measured(default: dict[str, dict[str, Any]], checkpoint: Path) -> None:
    found = json.loads((checkpoint / "retrieval.json").read_text())
    assert found["metrics"] == {name: row["value"] for name, row in default.items()}
    assert set(default) == {f"{way}_r{k}" for way in ("text_to_image", "image_to_text") for k in (1, 5, 10)}
    assert {row["dataset"] for row in default.values()} == {"demo/held_out/web_text/500"}
    assert {row["n"] for row in default.values()} == {12}


def test_every_figure_has_an_interval(lake: Path, default: dict[str, dict[str, Any]], classes: Path) -> None:
    found = [*default.values(), *measured(lake, zero_shot=str(classes), hard_negatives=True, max_pairs=9).values()]
    assert all(0 <= row["low"] <= row["value"] <= row["high"] <= 1 for row in found)
    assert all(row["low"] < row["high"] for row in found)


def test_a_suite_is_measured_once_a_checkpoint(lake: Path, default: object, capsys: pytest.CaptureFixture[str]) -> None:
    flags = {"texts": "alt_text,short_positive", "hard_negatives": True}
    assert measured(lake, **flags)
    first = capsys.readouterr().out
    assert measured(lake, **flags) == {}
    assert capsys.readouterr().out == first, "what is known is told again"


def test_an_image_may_have_several_texts(lake: Path, default: object) -> None:
    found = measured(lake, texts="alt_text,long_positive,short_positive")
    assert found["image_to_text_r1"]["n"] == 12
    assert found["text_to_image_r1"]["n"] == 36
    assert found["image_to_text_r1"]["dataset"] == "demo/held_out/alt_text+long_positive+short_positive/500"


def test_negatives_of_the_release_come_with_controls(lake: Path, default: object) -> None:
    found = measured(lake, hard_negatives=True, max_pairs=11)
    names = {name.rsplit("_", 1)[0] for name in found}
    assert names == {"hard_negative", "other_images", "blind_length"}, "too few for a classifier of words"
    assert {name.rsplit("_", 1)[1] for name in found} == {"long", "short", "overall"}
    assert found["blind_length_long"]["value"] == 0.5, "long 9 against not 9"


def test_tags_are_classes(lake: Path, default: object, tmp_path: Path) -> None:
    templates = tmp_path / "templates.txt"
    templates.write_text("a {} in the sky\n\nno {c}\n")
    found = measured(lake, zero_shot_tags=3, templates=str(templates))
    held_out = [row for row in training_rows(ROWS).to_pylist() if row["split"] == "held_out"]
    alone = [row for row in held_out if sum(tag < 3 for tag in row["tag_ids"]) == 1]
    assert found["top1"]["n"] == len(alone)
    assert set(found) == {"top1", "mean_per_class_recall"}, "three classes have no first five"


def test_rows_of_one_image_are_no_certainty(checkpoint: Path, tmp_path: Path) -> None:
    rows = training_rows(ROWS)
    place = rows.column_names.index("image_id")
    lake = written_lake(tmp_path / "lake", rows.set_column(place, "image_id", [["one image"] * ROWS]))
    own = shutil.copytree(checkpoint, tmp_path / "tiny")
    evaluate_clip.JOB.run(evaluate_clip.Config(str(lake), checkpoint=str(own), zero_shot_tags=3))
    found = list(of_run(lake, 0))
    assert {row["metric"] for row in found} > {"text_to_image_r1", "image_to_text_r10", "top1"}
    assert all(row["high"] - row["low"] > 0.7 for row in found), "as wide as of a single pair"


def test_class_folders_equal_the_table_of_them(lake: Path, default: object, classes: Path, tmp_path: Path) -> None:
    (classes / "red kite" / "more.png").write_bytes(picture((200, 40, 40), 9))
    files = sorted(classes.glob("*/*.png"))
    kinds = [file.parent.name.replace("_", " ") for file in files]
    table = pa.table({"picture": [file.read_bytes() for file in files], "kind": kinds})
    pq.write_table(table, tmp_path / "shapes.parquet")
    one = measured(lake, zero_shot=str(classes))
    flags = {"image_column": "picture", "label_column": "kind"}
    other = measured(lake, zero_shot=str(tmp_path / "shapes.parquet"), **flags)
    assert [(row["value"], row["n"]) for row in one.values()] == [(row["value"], row["n"]) for row in other.values()]


def test_suites_of_others_are_measured(lake: Path, default: object, classes: Path, tmp_path: Path) -> None:
    names = [str(file.relative_to(classes)) for file in sorted(classes.glob("*/*.png"))]
    (tmp_path / "sugar").mkdir()
    for kind in ("add_att", "swap_obj"):
        rows = {
            str(at): {"filename": name, "caption": f"a kite {at}", "negative_caption": "a red boat"}
            for at, name in enumerate(names)
        }
        (tmp_path / "sugar" / f"{kind}.json").write_text(json.dumps(rows))
    (tmp_path / "captions.json").write_text(json.dumps({name: ["a kite", f"a boat {name}"] for name in names}))
    line = {
        "image_0": names[0][:-4],
        "image_1": names[9],
        "caption_0": "a kite on a boat",
        "caption_1": "a boat on a kite",
    }
    (tmp_path / "examples.jsonl").write_text(f"{json.dumps(line)}\n{json.dumps(line)}\n")
    flags = {"sugarcrepe": "sugar", "captions": "captions.json", "winoground": "examples.jsonl"}
    found = measured(lake, images=str(classes), **{flag: str(tmp_path / name) for flag, name in flags.items()})
    assert found["hard_negative_overall"]["n"] == 48
    assert found["blind_words_overall"]["value"] > 0.9, "all false texts are one"
    assert found["text_to_image_r1"]["n"] == 48
    assert found["group_score"]["n"] == 2


def test_the_export_is_what_clip_benchmark_reads(lake: Path, default: object, tmp_path: Path) -> None:
    flags = {"texts": "alt_text,long_positive", "zero_shot_tags": 3, "max_pairs": 7, "export_benchmark": str(tmp_path)}
    measured(lake, **flags)
    assert (tmp_path / "retrieval" / "test" / "nshards.txt").read_text() == "1\n"
    assert (tmp_path / "retrieval" / "dataset_type.txt").read_text() == "retrieval\n"
    rows = sorted(
        (row for row in training_rows(ROWS).to_pylist() if row["split"] == "held_out"), key=lambda row: row["image_id"]
    )
    with tarfile.open(tmp_path / "retrieval" / "test" / "0.tar") as tar:
        members = {name: tar.extractfile(name).read() for name in tar.getnames()}  # type: ignore[union-attr]
    assert len(members) == 14
    assert members["s0000000.txt"].decode().splitlines() == [rows[0]["alt_text"], rows[0]["long_positive"]]
    assert members["s0000000.jpg"] == rows[0]["image"]
    assert (tmp_path / "tags" / "classnames.txt").read_text() == "tag 0\ntag 1\ntag 2\n"
    assert (tmp_path / "tags" / "zeroshot_classification_templates.txt").read_text() == "a photo of a {c}.\n"


def test_a_model_from_elsewhere_needs_no_training(lake: Path, checkpoint: Path, classes: Path, tmp_path: Path) -> None:
    for file in checkpoint.iterdir():
        if file.is_file() and file.name not in ("training.json", "retrieval.json"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
    before = len(read_rows(str(lake), EVALUATIONS))
    config = evaluate_clip.Config(str(lake), name="elsewhere", checkpoint=str(tmp_path), zero_shot=str(classes))
    evaluate_clip.JOB.run(config)
    evaluate_clip.JOB.run(evaluate_clip.Config(str(lake), name="elsewhere", checkpoint=str(tmp_path), release="demo"))
    rows = list(of_run(lake, before))
    assert {row["release"] for row in rows} == {"", "demo"}
    assert {row["dataset"] for row in rows if row["release"]} == {"demo/held_out/web_text/500/own_look"}
    assert {row["checkpoint"] for row in rows} == {
        hashlib.sha256((checkpoint / "model.safetensors").read_bytes()).hexdigest()
    }
    assert not (tmp_path / "retrieval.json").exists(), "it is no training run of this lake"


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        ({"texts": "alt_txt"}, "unknown text column 'alt_txt': expected one of alt_text, web_tags"),
        ({"templates": "x"}, "--templates needs something to classify"),
        ({"images": "x"}, "--images needs something that names them"),
        ({"zero_shot": "nowhere"}, "there is nothing at 'nowhere'"),
        ({"release": "summer", "hard_negatives": True}, "unknown release 'summer'"),
        ({"checkpoint": "nowhere"}, "no finished training in 'nowhere'"),
        ({"checkpoint": "nowhere", "hard_negatives": True}, "no release to hold pairs out"),
    ],
)
def test_what_cannot_be_measured_is_said(lake: Path, default: object, flags: dict[str, Any], problem: str) -> None:
    with pytest.raises(Exception, match=problem):
        measured(lake, **flags)


def test_too_many_unreadable_images_are_an_error(lake: Path, default: object, classes: Path) -> None:
    for number in (0, 1):
        (classes / "red kite" / f"{number}.png").write_bytes(b"no image")
    with pytest.raises(BadInput, match=r"2 of 24 images cannot be read \('red kite/0.png': not_an_image, .*at most 5%"):
        measured(lake, zero_shot=str(classes))


def test_one_unreadable_image_is_left_out(
    lake: Path, default: object, classes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (classes / "red kite" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    assert measured(lake, zero_shot=str(classes))["top1"]["n"] == 23
    assert "note: 1 of 24 images cannot be read ('red kite/0.png'" in capsys.readouterr().err
