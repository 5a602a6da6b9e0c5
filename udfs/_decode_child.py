"""The decoder that reads hostile images: run as a process of its own, it answers each image on stdin with a verdict.

``udfs.image_check`` starts it by its source text, so it imports nothing of the project: only Pillow.
A message is a length (4 bytes, big endian) and that many bytes: image bytes come in, JSON objects go out.
"""

import io
import json
import os
import signal
import struct
import sys
import warnings
from typing import BinaryIO

from PIL import (
    GifImagePlugin,
    Image,
    ImageCms,
    JpegImagePlugin,
    PngImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

LENGTH = struct.Struct(">I")
FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
OUT_OF_MEMORY = 77
"""Exit status of a child whose image wanted more memory than the limit."""

# Image.open() finds a format only if its plugin was imported; the rest of Pillow's fifty never load.
_PLUGINS = (JpegImagePlugin, PngImagePlugin, WebPImagePlugin, GifImagePlugin)

# Broken metadata say nothing of the pixels, and photographs from telephones are full of them.
_HARMLESS_WARNINGS = (
    "Corrupt EXIF",
    "Metadata Warning",
    "Image appears to be a malformed MPO",
    "Tag ",
    "Truncated File",
)

Answer = dict[str, str | int | None]


def sniff(data: bytes) -> str | None:
    """Return the format whose signature ``data`` start with (jpeg, png, webp, gif), or None."""
    if data[:3] == b"\xff\xd8\xff":
        return "jpeg"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return "gif" if data[:6] in (b"GIF87a", b"GIF89a") else None


def reason_for(error: Exception, data: bytes) -> str:
    """Return the reason (udfs.reasons) that names why Pillow gave up on ``data`` with ``error``."""
    if isinstance(error, Image.DecompressionBombError):
        return "too_many_pixels"
    message = str(error).lower()
    if "truncated" in message or is_cut(data):
        return "truncated_image"
    return "not_an_image" if isinstance(error, UnidentifiedImageError) else "corrupt_image"


def detail_of(error: Exception) -> str:
    """Return ``error`` in one short line that is the same for the same image."""
    if isinstance(error, UnidentifiedImageError):
        return "no decoder can open it"  # Pillow's own text holds an address in memory
    return f"{type(error).__name__}: {error}"[:200]


def is_cut(data: bytes) -> bool:
    """Say whether ``data`` lack the mark that ends every file of their format."""
    match sniff(data):
        case "jpeg":
            return b"\xff\xd9" not in data
        case "png":
            return b"IEND" not in data
        case "webp":
            return len(data) < 12 or int.from_bytes(data[4:8], "little") + 8 > len(data)
        case "gif":
            return b";" not in data[-64:]
    return False


def examine(data: bytes) -> Answer:
    """Return the verdict on one image: its format and size in pixels, or the reason why it is refused."""
    kind = sniff(data)
    if kind is None:
        return {"reason": "not_an_image", "detail": "no signature of JPEG, PNG, WebP or GIF"}
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            size: Answer = {"format": kind, "width": image.width, "height": image.height}
            if is_animated(image):
                return size | {"reason": "animated_image", "detail": "more than one frame"}
            image.load()
            if image.mode == "P" and image.palette is None:
                raise ValueError("a palette image without a palette")
            _touch_colour_profile(image)
            return size
    except MemoryError:
        raise
    except Exception as error:  # a decoder may raise anything on hostile bytes; each is a verdict, none is lost
        if "out of memory" in str(error):
            raise MemoryError from error
        return {"format": kind, "reason": reason_for(error, data), "detail": detail_of(error)}


def is_animated(image: Image.Image) -> bool:
    """Say whether ``image`` has frames to play. A JPEG with a preview or a second eye (MPO) is a still."""
    return image.format != "MPO" and bool(getattr(image, "is_animated", False))


def _touch_colour_profile(image: Image.Image) -> None:
    # udfs.images reads the profile in the Spark worker: one that kills lcms must do so here.
    profile = image.info.get("icc_profile")
    if not profile:
        return
    try:
        with_profile = Image.new("RGB", (1, 1))
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        ImageCms.profileToProfile(with_profile, source, ImageCms.createProfile("sRGB"))
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return  # a profile that cannot be read is ignored, here and there


def limit_process(memory_bytes: int) -> None:
    """Allow this process ``memory_bytes`` of address space over what it has, no files and no core dumps."""
    import resource

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent; the end of stdin ends the child
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            baseline = int(statm.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (baseline + memory_bytes,) * 2)
    except (OSError, ValueError):
        return  # no /proc, as on macOS: the limits of time and pixels still hold


def serve(requests: BinaryIO, answers: BinaryIO, seconds: float) -> None:
    """Answer images until ``requests`` ends. One that takes more CPU time than ``seconds`` kills the process."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    while head := requests.read(LENGTH.size):
        data = requests.read(LENGTH.unpack(head)[0])
        # CPU time, so that a busy machine changes no verdict; the kernel kills, so that no C code can hold it off.
        signal.setitimer(signal.ITIMER_PROF, seconds)
        answer = examine(data)
        signal.setitimer(signal.ITIMER_PROF, 0)
        send(answers, answer)


def send(answers: BinaryIO, answer: Answer) -> None:
    """Write one answer."""
    body = json.dumps(answer).encode()
    answers.write(LENGTH.pack(len(body)) + body)
    answers.flush()


def main(pixels: int, memory_bytes: int, seconds: float) -> None:
    """Serve stdin and stdout until stdin ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a C library prints must not reach the parent as an answer
    warnings.simplefilter("error")
    for message in _HARMLESS_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    # Pillow raises at twice this number, before it allocates, and warns at once: the warning is not an error.
    Image.MAX_IMAGE_PIXELS = pixels // 2
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    limit_process(memory_bytes)
    send(answers, {"ready": 1})
    try:
        serve(sys.stdin.buffer, answers, seconds)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except BrokenPipeError:
        os._exit(0)  # the parent is gone


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
