"""How fast a model of transformers describes images on one GPU: images and tokens a second, and how busy the GPU is.

Needs neither Spark nor Java: `python -m benchmarks.hf_gpu hf://FOLDER?batch_size=32 --images 256`. Without a model one
of LLaVA-1.5's shape, 7 billion weights at random, is written to a temporary folder first: what it says is noise, and
takes as long as sense would.
"""

import argparse
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.llava import SIZES, write_llava
from udfs.hf.engine import engine_for
from udfs.models import Desk, Reply, Request, load
from udfs.models.hf import HfDescriber
from udfs.prompts import read_prompt
from udfs.tasks import Task

PLAIN = Task(name="plain", schema=None, complaint=lambda answer: None)


def main(argv: Sequence[str] = ()) -> int:
    """Print one line of JSON for each model."""
    parser = argparse.ArgumentParser(prog="benchmarks.hf_gpu", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", nargs="*", help="URIs hf://; without, a model at random for each of --batch-sizes")
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--size", choices=sorted(SIZES), default="7b", help="of the model at random")
    parser.add_argument("--batch-sizes", default="1,8,32", help="of the model at random")
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        for uri in given.model or _at_random(Path(folder) / "llava", given.size, given.batch_sizes.split(",")):
            print(json.dumps(measure(uri, given.images)), flush=True)
    return 0


def measure(uri: str, count: int) -> dict[str, float | str]:
    """Return the figures of ``count`` images, behind as many as one batch holds that are not counted."""
    model = load(uri)
    assert isinstance(model, HfDescriber)
    engine = engine_for(model.settings)
    desk = Desk(task=PLAIN, prompt=read_prompt("hqclip_student").text)
    requests = [_request(number) for number in range(count)]
    list(model.describe(requests[: model.settings.batch_size], desk))
    with _gpu_watched() as busy:
        began = time.monotonic()
        replies = [reply for _, reply in model.describe(requests, desk)]
        seconds = time.monotonic() - began
    about: dict[str, float | str] = {"model": model.identity, "device": str(engine.device)}
    return about | {"batch_size": model.settings.batch_size} | _figures(replies, seconds, busy)


def _figures(replies: Sequence[Reply], seconds: float, busy: Sequence[int]) -> dict[str, float | str]:
    written = sum(reply.output_tokens or 0 for reply in replies)
    figures: dict[str, float | str] = {
        "images": len(replies),
        "seconds": round(seconds, 2),
        "images_per_second": round(len(replies) / seconds, 2),
        "tokens_per_second": round(written / seconds, 1),
    }
    return figures | ({"gpu_busy": round(float(np.mean(busy)) / 100, 3)} if busy else {})


@contextmanager
def _gpu_watched() -> Iterator[list[int]]:
    """Fill the list, when the block ends, with the share of time that the GPU was busy, in %, five times a second."""
    shares: list[int] = []
    command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-i", "0", "-lms", "200"]
    try:
        watch = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    except FileNotFoundError:
        yield shares
        return
    try:
        yield shares
    finally:
        watch.terminate()
        shares += [int(line) for line in watch.communicate()[0].split() if line.isdecimal()]


def _at_random(folder: Path, size: str, batch_sizes: Sequence[str]) -> list[str]:
    write_llava(folder, SIZES[size], ends=0)
    return [f"hf://{folder}?max_new_tokens=128&batch_size={batch_size}" for batch_size in batch_sizes]


def _request(number: int) -> Request:
    buffer = io.BytesIO()
    noise = np.random.default_rng(number).integers(0, 256, (48, 64, 3), np.uint8)
    Image.fromarray(noise).resize((640, 480), Image.Resampling.BICUBIC).save(buffer, "JPEG")
    ids = {"request_key": str(number), "sample_id": f"{number:064x}", "image_id": f"{number:064x}"}
    own = {"alt_text": f"a photo, number {number}", "image": buffer.getvalue(), "width": 640, "height": 480}
    return Request(**ids, **own)  # type: ignore[arg-type]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
