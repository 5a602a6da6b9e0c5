"""The image as a model is sent it: as it came where it is within the pixel budget, else smaller."""

from udfs._decode_child import sniff
from udfs.images import UnreadableImage, smaller_jpeg


def sendable(image: bytes, *, width: int, height: int, max_pixels: int) -> tuple[str, bytes]:
    """Return the media type and the bytes to send; raise UnreadableImage where there is no image in ``image``.

    ``width`` and ``height`` are known from the table: an image within ``max_pixels`` is not decoded, nor changed.
    """
    kind = sniff(image)
    if kind is None:
        raise UnreadableImage("not_an_image", "no image starts like this")
    if width * height <= max_pixels:
        return f"image/{kind}", image
    return "image/jpeg", smaller_jpeg(image, max_pixels=max_pixels)
