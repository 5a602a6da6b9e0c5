"""What a checkpoint sees of held-out images: the stream's crop where it was trained on it, else its own look."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pytest
import torch
from PIL import Image

from jobs.subject import Subject
from lakehouse.stream import CaptionStream
from tests.lakehouse.stream.lakes import split_of, training_rows, write_lake
from tests.udfs.clip.tiny import TINY, TINY_SIGLIP
from udfs.clip.model import save_clip, small_clip
from udfs.clip.pixels import square
from udfs.clip.sizes import Sizes
from udfs.clip.tokenizer import train_tokenizer

ROWS: Final = 60
BROKEN: Final = 29
SIZES: Final[Mapping[str, Sizes]] = {"clip": TINY, "siglip": TINY_SIGLIP}
HELD_OUT: Final = {f"image {number}": number for number in range(ROWS) if split_of(number) == "held_out"}


def jpeg(number: int) -> bytes:
    """Return a picture whose every part is another: what is cut off shows."""
    if number == BROKEN:
        return b"\xff\xd8\xff no picture"
    buffer = io.BytesIO()
    noise = np.random.default_rng(number).integers(0, 256, (5, 9, 3), np.uint8)
    Image.fromarray(noise).resize((72, 40), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, rows = tmp_path_factory.mktemp("lakes") / "lake", training_rows(ROWS)
    rows = rows.set_column(rows.column_names.index("image"), "image", [[jpeg(number) for number in range(ROWS)]])
    write_lake(root, rows.append_column("web_text", [[f"web {number}" for number in range(ROWS)]]))
    return root


@pytest.fixture(params=SIZES)
def foreign(request: pytest.FixtureRequest, lake: Path, tmp_path: Path) -> Subject:
    """A checkpoint without a training beside it."""
    tokenizer = train_tokenizer([f"web {number}" for number in range(ROWS)], vocab_size=300, max_tokens=16)
    save_clip(tmp_path, small_clip(tokenizer, SIZES[request.param], seed=5), tokenizer)
    return Subject(str(lake), tmp_path, "demo", (), max_pairs=100, batch_size=4)


@pytest.fixture
def trained(foreign: Subject) -> Subject:
    """The same with the file that train_clip ends with."""
    (foreign.folder / "training.json").write_text("{}")
    return foreign


def places_of(subject: Subject) -> list[int]:
    return [HELD_OUT[row["image_id"]] for row in subject.held_out.rows]


def test_a_model_from_elsewhere_sees_held_out_images_by_its_own_look(foreign: Subject) -> None:
    pixels = [square(jpeg(number), foreign.encoder.model.look) for number in places_of(foreign)]
    assert torch.allclose(foreign.held_out.features, foreign.encoder.images([torch.stack(pixels)]), atol=1e-5)


def test_a_model_of_the_stream_sees_the_streams_centre_crop(trained: Subject) -> None:
    stream = CaptionStream(
        trained.root,
        release="demo",
        split="held_out",
        batch_size=4,
        image_size=16,
        crop="center",
        shuffle=False,
        drop_last=False,
    )
    seen = {name: image for batch in stream for name, image in zip(batch.sample_id, batch.image.clone(), strict=True)}
    pixels = [seen[row["sample_id"]] for row in trained.held_out.rows]
    assert torch.allclose(trained.held_out.features, trained.encoder.images([torch.stack(pixels)]), atol=1e-5)


def test_an_image_that_cannot_be_read_is_left_out(foreign: Subject) -> None:
    assert sorted(places_of(foreign)) == sorted(set(HELD_OUT.values()) - {BROKEN})
    assert len(foreign.held_out.features) == len(HELD_OUT) - 1


def test_two_views_are_two_datasets(foreign: Subject) -> None:
    assert foreign.dataset("3_tags", "abc") == "demo/held_out/3_tags/100/abc/own_look"
    (foreign.folder / "training.json").write_text("{}")
    assert foreign.dataset("3_tags", "abc") == "demo/held_out/3_tags/100/abc"
