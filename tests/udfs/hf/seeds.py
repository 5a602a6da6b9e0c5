"""Chat data of small real images, written as the job writes it, with the rules as the teacher."""

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.jobs.pictures import line_of, picture
from udfs.descriptions import parse_answer
from udfs.hf.tuning.export import write_chats, write_images
from udfs.models import Desk, Request, load
from udfs.prompts import read_prompt
from udfs.tasks import DESCRIBE


def png(number: int) -> bytes:
    buffer = io.BytesIO()
    picture(number).save(buffer, "PNG")
    return buffer.getvalue()


def request(number: int, **fields: Any) -> Request:
    image, line = png(number), line_of(number)
    image_id = hashlib.sha256(image).hexdigest()
    ids = {"request_key": f"k{number}", "sample_id": f"{number:064x}", "image_id": image_id}
    own = {"alt_text": line["title"], "web_tags": tuple(line["tags"]), "width": 96, "height": 80}
    return Request(**{**ids, **own, "image": image, **fields})


def write_seeds(folder: Path, count: int, *, held_out: int = 0) -> Path:
    """Write ``count`` seeds, of which so many are held out, and return the folder."""
    asked = [request(number) for number in range(count)]
    assert write_images(((one.image_id, one.image or b"") for one in asked), folder) == 0
    write_chats(
        _rows(asked), folder, read_prompt("hqclip_student"), held_out={one.image_id for one in asked[:held_out]}
    )
    return folder


def _rows(asked: list[Request]) -> Iterator[dict[str, Any]]:
    desk = Desk(task=DESCRIBE, prompt=read_prompt("hqclip_teacher").text)
    for one, reply in load("rules://").describe(asked, desk):
        yield {**vars(one), **vars(parse_answer(reply.answer))}
