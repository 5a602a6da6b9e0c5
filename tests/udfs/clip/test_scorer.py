"""A checkpoint as a scorer: each image with its own texts, and nothing shifted by one that cannot be read."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from jobs.subject import Subject
from lakehouse.errors import BadInput, UnknownModel
from tests.udfs.clip.tiny import TINY, TINY_SIGLIP
from udfs.audit import KINDS
from udfs.clip.folder import weights_digest
from udfs.clip.model import load_clip, save_clip, small_clip
from udfs.clip.retrieval import embed_images, embed_texts
from udfs.clip.tokenizer import train_tokenizer
from udfs.models.scorers import Scorer, load_scorer
from udfs.similarity import similarities, similarity_schema

TOKENIZER = train_tokenizer(["a red kite", "a boat"] * 3, vocab_size=300, max_tokens=TINY.max_tokens)
TEXTS = [["a red kite"], ["a boat", "a red kite"], ["a kite", "boat", "red"]]


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(noise).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_clip(folder, small_clip(TOKENIZER, TINY, seed=3), TOKENIZER)
    return folder


@pytest.fixture(scope="module")
def scorer(folder: Path) -> Scorer:
    return load_scorer(f"clip://{folder}")


def test_each_image_is_compared_with_its_own_texts(scorer: Scorer) -> None:
    together = scorer.score([png(1), png(2), png(3)], TEXTS)
    alone = [scorer.score([png(at)], [own])[0] for at, own in enumerate(TEXTS, 1)]
    assert [len(own or ()) for own in together] == [1, 2, 3]
    for one, other in zip(together, alone, strict=True):
        assert one == pytest.approx(other, abs=1e-3)
    assert all(-100 <= value <= 100 for own in together for value in own or ())


def test_an_image_that_cannot_be_read_shifts_no_other(scorer: Scorer) -> None:
    whole = scorer.score([png(1), png(2), png(3)], TEXTS)
    broken = scorer.score([png(1), b"no image", png(3)], TEXTS)
    assert broken[1] is None
    assert broken[0] == pytest.approx(whole[0], abs=1e-3)
    assert broken[2] == pytest.approx(whole[2], abs=1e-3)


def test_nothing_to_score_is_no_error(scorer: Scorer) -> None:
    assert scorer.score([], []) == []
    assert scorer.score([b""], [["a kite"]]) == [None]


def test_other_weights_are_another_revision(scorer: Scorer, tmp_path: Path) -> None:
    save_clip(tmp_path / "tiny", small_clip(TOKENIZER, TINY, seed=4), TOKENIZER)
    other = load_scorer(f"hf://{tmp_path / 'tiny'}")
    assert other.identity == scorer.identity == "clip://tiny"
    assert other.revision != scorer.revision


def test_a_revision_is_the_checkpoint_that_evaluations_name(folder: Path, scorer: Scorer) -> None:
    subject = Subject("", folder, "", (), max_pairs=1, batch_size=1)
    assert scorer.revision == subject.digest == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def test_weights_in_several_files_are_told_as_if_in_one(tmp_path: Path) -> None:
    for place, part in enumerate((b"one", b"two"), 1):
        (tmp_path / f"model-0000{place}-of-00002.safetensors").write_bytes(part)
    assert weights_digest(tmp_path) == hashlib.sha256(b"onetwo").hexdigest()


def test_no_weights_have_no_digest(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no model in .*: expected a folder with config.json"):
        weights_digest(tmp_path)


def test_a_siglip_is_shown_the_whole_picture(tmp_path: Path) -> None:
    save_clip(tmp_path, small_clip(TOKENIZER, TINY_SIGLIP, seed=3), TOKENIZER)
    squeezed = np.array(Image.open(io.BytesIO(png(1))).resize((16, 16), Image.Resampling.BICUBIC))
    model, tokenizer = load_clip(tmp_path)
    image = embed_images(model, [torch.from_numpy(squeezed).permute(2, 0, 1)[None]])
    wanted = 100 * (embed_texts(model, tokenizer, TEXTS[2]) @ image[0])
    found = load_scorer(f"clip://{tmp_path}").score([png(1)], TEXTS[2:])[0]
    assert found == pytest.approx(wanted.tolist(), abs=1e-3)


def test_scores_come_out_beside_their_pair(folder: Path, scorer: Scorer) -> None:
    texts = {"alt_text": "a kite", "long_positive": "a red kite", "long_negative": "a boat"}
    rows = [
        {"sample_id": f"{at}", "image": image, **texts, "short_positive": ["red", "kite"], "short_negative": []}
        for at, image in enumerate([png(1), b"", png(3)])
    ]
    batch = pa.RecordBatch.from_pylist(rows)
    found = [row for out in similarities([batch], f"clip://{folder}") for row in out.to_pylist()]
    assert [row["sample_id"] for row in found] == ["0", "2"]
    assert {row["short_negative"] for row in found} == {None}
    wanted = scorer.score([png(3)], [["a kite", "a red kite", "red, kite", "a boat"]])[0]
    assert [found[1][kind] for kind in KINDS if kind != "short_negative"] == pytest.approx(wanted, abs=1e-3)
    assert list(found[0]) == similarity_schema().names


def test_a_scorer_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match="expected clip://FOLDER"):
        load_scorer("openai://gpt-4o")
    with pytest.raises(BadInput, match="no model in"):
        load_scorer(f"clip://{tmp_path}")
