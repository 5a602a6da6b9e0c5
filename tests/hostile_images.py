"""Nasty images, built from struct, zlib and Pillow: no file in here was made by anybody else."""

import io
import random
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Case:
    """Hostile bytes, and the reasons (udfs.reasons) that are a right verdict; None stands for a good image."""

    name: str
    data: bytes
    reasons: tuple[str | None, ...]


def chunk(kind: bytes, body: bytes, *, length: int | None = None) -> bytes:
    """Return a PNG chunk with its checksum; ``length`` lies about the size of the body."""
    return struct.pack(">I", len(body) if length is None else length) + kind + body + _crc(kind + body)


def _crc(data: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(data))


def header(width: int, height: int, *, depth: int = 8, colour: int = 2) -> bytes:
    """Return a PNG's IHDR chunk."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


def png(*chunks: bytes) -> bytes:
    """Return a PNG file of ``chunks``."""
    return PNG_SIGNATURE + b"".join(chunks) + chunk(b"IEND", b"")


def pixels(width: int, height: int) -> bytes:
    """Return the IDAT chunk of a black RGB image."""
    return chunk(b"IDAT", zlib.compress(bytes((3 * width + 1) * height), 9))


def photo(width: int = 96, height: int = 64, mode: str = "RGB") -> Image.Image:
    """Return an image with colours, edges and noise."""
    noise = random.Random(7).randbytes(width * height * 3)
    gradient = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    return Image.blend(gradient, Image.frombytes("RGB", (width, height), noise), 0.4).convert(mode)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """Return ``image`` as bytes of the format ``kind``."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def film(kind: str, **options: object) -> bytes:
    """Return an animation of three frames."""
    frames = [photo().rotate(20 * turn) for turn in range(3)]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=50, **options)


def animated_png_with_empty_frame() -> bytes:
    """Return the shape of file that kills OpenCV 4.12 to 5.0: acTL, then fdAT of length 0, then a garbage chunk."""
    animation = chunk(b"acTL", struct.pack(">II", 2, 0))
    frame = struct.pack(">IIIIIHHBB", 0, 8, 8, 0, 0, 1, 10, 0, 0)
    second = struct.pack(">IIIIIHHBB", 1, 8, 8, 0, 0, 1, 10, 0, 0)
    garbage = struct.pack(">I", 64) + b"\x00\xff\x07?" + bytes(range(64)) + b"\0\0\0\0"
    return png(
        header(8, 8),
        animation,
        chunk(b"fcTL", frame),
        pixels(8, 8),
        chunk(b"fcTL", second),
        chunk(b"fdAT", b""),
        garbage,
    )


def idat_bomb() -> bytes:
    """Return a PNG of 45 bytes or so whose IDAT claims 4 GB: OpenCV allocates them."""
    return PNG_SIGNATURE + header(8, 8) + struct.pack(">I", 0xFFFFFFF0) + b"IDAT"


def webp_canvas(width: int, height: int) -> bytes:
    """Return a WebP whose header claims a canvas of ``width`` x ``height`` and holds a small picture."""
    body = encoded(photo(8, 8), "WEBP", lossless=True)[12:]
    extended = struct.pack("<I", 0) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    content = b"WEBP" + b"VP8X" + struct.pack("<I", len(extended)) + extended + body
    return b"RIFF" + struct.pack("<I", len(content)) + content


def gif_screen(width: int, height: int) -> bytes:
    """Return a still GIF that claims a screen of ``width`` x ``height``."""
    data = bytearray(encoded(photo(8, 8), "GIF"))
    data[6:10] = struct.pack("<HH", width, height)
    return bytes(data)


def jpeg_frame(width: int, height: int) -> bytes:
    """Return a JPEG of 8 x 8 pixels whose frame header claims ``width`` x ``height``."""
    data = bytearray(encoded(photo(8, 8), "JPEG"))
    start = data.index(b"\xff\xc0")
    data[start + 5 : start + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def with_exif(exif: bytes) -> bytes:
    """Return a JPEG with ``exif`` as its EXIF block."""
    return encoded(photo(), "JPEG", exif=b"Exif\0\0" + exif)


def pair_of_views() -> bytes:
    """Return an MPO: two JPEGs in one file, as telephones and 3-D cameras write them."""
    return encoded(photo(), "MPO", save_all=True, append_images=[photo().rotate(3)])


def cases() -> Iterator[Case]:
    """Yield every case, always in the same order and with the same bytes."""
    yield from _not_images()
    yield from _bombs()
    yield from _animations()
    yield from _cut_short()
    yield from _damaged()
    yield from _odd_but_good()


def _not_images() -> Iterator[Case]:
    yield Case("nothing", b"", ("empty_image",))
    for name, data in {
        "one byte": b"\x89",
        "text named .jpg": b"This is not a picture.\n" * 40,
        "a web page": b"<!DOCTYPE html><html><body><h1>403 Forbidden</h1></body></html>",
        "a drawing in SVG": b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
        "zero bytes by the thousand": bytes(4096),
        "a bitmap of a format that is not allowed": encoded(photo(), "BMP"),
        "a TIFF": encoded(photo(), "TIFF"),
        "a portable pixmap": encoded(photo(), "PPM"),
        "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
        "a wave file": b"RIFF" + struct.pack("<I", 36) + b"WAVEfmt " + bytes(28),
        "a picture behind text": b"x" + encoded(photo(), "PNG"),
    }.items():
        yield Case(name, data, ("not_an_image",))
    yield Case("a JPEG marker with text behind it", b"\xff\xd8\xff\xe0" + b"text " * 100, _BROKEN)
    yield Case("a PNG signature with text behind it", PNG_SIGNATURE + b"text " * 100, _BROKEN)
    yield Case("a GIF signature with zeros behind it", b"GIF89a" + bytes(100), _BROKEN)
    yield Case("a WebP signature with zeros behind it", b"RIFF\x60\0\0\0WEBPVP8 " + bytes(100), _BROKEN)


_BROKEN = ("not_an_image", "truncated_image", "corrupt_image")


def _bombs() -> Iterator[Case]:
    bomb = ("too_many_pixels",)
    yield Case("a PNG header of 60000 x 60000", png(header(60_000, 60_000), pixels(8, 8)), bomb)
    yield Case("a PNG header of 2 milliard pixels a side", png(header(2**31 - 1, 2**31 - 1), pixels(8, 8)), bomb)
    yield Case("a PNG that is 100000 wide and 1000 high", png(header(100_000, 1000), pixels(8, 8)), bomb)
    yield Case("a WebP canvas of 16 million pixels a side", webp_canvas(1 << 24, 1 << 24), (*bomb, *_BROKEN))
    yield Case("a WebP canvas of 16000 x 16000", webp_canvas(16_000, 16_000), bomb)
    yield Case("a GIF screen of 65535 x 65535", gif_screen(65_535, 65_535), bomb)
    yield Case("a JPEG frame of 65500 x 65500", jpeg_frame(65_500, 65_500), bomb)
    yield Case("a JPEG frame of 56321 x 7789", jpeg_frame(56_321, 7_789), bomb)
    yield Case("an IDAT that claims 4 GB", idat_bomb(), ("truncated_image", "corrupt_image"))
    blown = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1 << 26), 9))
    yield Case("64 MB of zeros in a text chunk", png(header(8, 8), blown, pixels(8, 8)), (None, "corrupt_image"))
    texts = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1 << 20), 9)) * 80
    yield Case("80 text chunks of 1 MB", png(header(8, 8), texts, pixels(8, 8)), (None, "corrupt_image"))
    profile = chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(1 << 26), 9))
    yield Case("64 MB of zeros in a colour profile", png(header(8, 8), profile, pixels(8, 8)), (None, "corrupt_image"))
    large = chunk(b"IDAT", zlib.compress(bytes(1 << 26), 9))
    yield Case("64 MB of pixels behind an 8 x 8 header", png(header(8, 8), large), (None, "corrupt_image"))


def _animations() -> Iterator[Case]:
    for kind in ("GIF", "PNG", "WEBP"):
        yield Case(f"an animated {kind}", film(kind), ("animated_image",))
    yield Case("the animated PNG that kills OpenCV", animated_png_with_empty_frame(), ("animated_image", *_BROKEN))
    no_frames = chunk(b"acTL", struct.pack(">II", 0, 0))
    yield Case("an animation of no frames", png(header(8, 8), no_frames, pixels(8, 8)), (None, "corrupt_image"))
    endless = chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))
    yield Case(
        "an animation of 2 milliard frames",
        png(header(8, 8), endless, pixels(8, 8)),
        ("animated_image", "corrupt_image"),
    )


def _cut_short() -> Iterator[Case]:
    cut = ("truncated_image",)
    for kind, options in (("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("WEBP", {}), ("GIF", {})):
        whole = encoded(photo(), kind, **options)
        name = f"{'progressive ' if options else ''}{kind}"
        yield Case(f"half a {name}", whole[: len(whole) // 2], cut)
        yield Case(f"a {name} without its last tenth", whole[: len(whole) * 9 // 10], cut)
        yield Case(f"a {name} of 16 bytes", whole[:16], ("truncated_image", "not_an_image"))


def _damaged() -> Iterator[Case]:
    good = encoded(photo(), "PNG")
    yield Case("a PNG with a wrong checksum", good[:60] + bytes([good[60] ^ 1]) + good[61:], ("corrupt_image",))
    yield Case("a PNG without pixels", png(header(8, 8)), _BROKEN)
    yield Case("a PNG without a header", png(pixels(8, 8)), _BROKEN)
    yield Case("a PNG of no width", png(header(0, 8), pixels(8, 8)), _BROKEN)
    yield Case("a PNG of 3 bits a channel", png(header(8, 8, depth=3), pixels(8, 8)), _BROKEN)
    yield Case("a PNG of an unknown colour type", png(header(8, 8, colour=5), pixels(8, 8)), _BROKEN)
    yield Case("a palette PNG without a palette", png(header(8, 8, colour=3), pixels(8, 8)), ("corrupt_image",))
    yield Case("a PNG whose pixels are no zlib", png(header(8, 8), chunk(b"IDAT", b"pixels" * 9)), _BROKEN)
    yield Case("a JPEG of no height", jpeg_frame(8, 0), _BROKEN)
    middle = encoded(photo(), "WEBP", lossless=True)
    torn = middle[:40] + bytes(200) + middle[240:]
    yield Case("a WebP with a hole", torn, ("corrupt_image", "not_an_image"))


def _odd_but_good() -> Iterator[Case]:
    good: tuple[str | None, ...] = (None,)
    for kind in ("JPEG", "PNG", "WEBP", "GIF"):
        yield Case(f"a good {kind}", encoded(photo(), kind), good)
    yield Case("a single pixel", encoded(photo(1, 1), "PNG"), good)
    yield Case("a line 4000 pixels long", encoded(photo(4000, 1), "PNG"), good)
    yield Case("a JPEG for print", encoded(photo(mode="CMYK"), "JPEG"), good)
    yield Case(
        "a grey PNG of 16 bits", png(header(2, 1, depth=16, colour=0), chunk(b"IDAT", zlib.compress(bytes(5)))), good
    )
    yield Case("a bilevel PNG", encoded(photo(mode="1"), "PNG"), good)
    yield Case("a JPEG of two views", pair_of_views(), good)
    yield Case("a JPEG with rubbish behind it", encoded(photo(), "JPEG") + b"rubbish" * 99, good)
    yield Case("EXIF that is rubbish", with_exif(b"rubbish" * 20), good)
    yield Case("EXIF that points outside itself", with_exif(b"MM\0*\x7f\xff\xff\xff"), good)
    yield Case(
        "EXIF that points to itself", with_exif(b"MM\0*\0\0\0\x08\0\1\x87\x69\0\4\0\0\0\1\0\0\0\x08\0\0\0\x08"), good
    )
    yield Case("a colour profile that is rubbish", encoded(photo(), "JPEG", icc_profile=b"rubbish" * 64), good)
