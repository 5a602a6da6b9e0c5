"""Bronze: what came in, bytes untouched."""

from lakehouse.table import Column, Table

PAIRS = Table(
    name="bronze.pairs",
    comment="An image with its alt-text, bytes untouched",
    key=("sample_id",),
    cluster_by=("sample_id",),
    statistics=("image_id", "width", "height", "source", "ingested_at"),
    checks={
        "has_an_image": "length(image) > 0",
        "has_an_alt_text": "length(trim(alt_text)) > 0",
        "has_pixels": "width > 0 AND height > 0",
    },
    columns=(
        Column("sample_id", "STRING", "SHA-256, in hex, of image_id, a zero byte and the alt-text in UTF-8"),
        Column("image_id", "STRING", "SHA-256, in hex, of the encoded image bytes"),
        Column("image", "BINARY", "The encoded image as it came"),
        Column("format", "STRING", "Encoding found in the bytes, not in the name: jpeg, png, webp or gif"),
        Column("width", "INT", "Width in pixels, before any rotation that EXIF asks for"),
        Column("height", "INT", "Height in pixels, before any rotation that EXIF asks for"),
        Column("alt_text", "STRING", "The text that came with the image, as it came"),
        Column("source", "STRING", "Folder, tar, file or table that the pair came from"),
        Column("source_uid", "STRING", "Name of the pair within its source: relative path, tar key or row id"),
        Column("url", "STRING", "Where the web showed the image, if the source says so", nullable=True),
        Column("licence", "STRING", "Licence of the image, if the source says so", nullable=True),
        Column("metadata", "STRING", "Everything else the source says of the pair, as a JSON object", nullable=True),
        Column("ingested_at", "TIMESTAMP", "When the row was written, UTC"),
        Column("run_id", "STRING", "Run that wrote the row"),
    ),
)

TABLES = (PAIRS,)
