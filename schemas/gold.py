"""Gold: what analysts ask and trainers read."""

from lakehouse.table import Column, Table

_SAMPLE_ID = Column("sample_id", "STRING", "Key of the pair in bronze.pairs")
_IMAGE_ID = Column("image_id", "STRING", "SHA-256, in hex, of the original encoded image bytes")
_RUN_ID = Column("run_id", "STRING", "Run that wrote the row")

_TEXTS = (
    Column("alt_text", "STRING", "The text that came with the image"),
    Column("web_tags", "ARRAY<STRING>", "Tags that came with the image, in lower case; empty if there were none"),
    Column("web_text", "STRING", "alt_text, then web_tags: all of the web's own words about the image"),
    Column("long_positive", "STRING", "HQ-CLIP: what the image shows, in one to three sentences"),
    Column("short_positive", "ARRAY<STRING>", "HQ-CLIP: tags of things in the image, best first"),
    Column("long_negative", "STRING", "HQ-CLIP: close to the truth, false of the image"),
    Column("short_negative", "ARRAY<STRING>", "HQ-CLIP: tags of things that are not in the image"),
    Column(
        "recap_short",
        "STRING",
        "RECAP: what the image mainly shows; null if not asked for, turned away, or over 77 tokens (silver.recaptions)",
        nullable=True,
    ),
    Column("recap_long", "STRING", "RECAP: what is to be seen in detail; null as recap_short may be", nullable=True),
)

_RECAP_KEYS = Column(
    "recap_request_keys",
    "ARRAY<STRING>",
    "The answers in silver.responses that recap_short and recap_long were read from; empty if they were not published",
)

TEXTS = tuple(column.name for column in _TEXTS)
"""The text columns that a mix may name."""

CAPTIONS = Table(
    name="gold.captions",
    comment="Every text of a curated pair, wide",
    key=("sample_id",),
    cluster_by=("sample_id",),
    statistics=("source", "width", "height", "alt_text_words", "long_positive_words", "model"),
    columns=(
        _SAMPLE_ID,
        _IMAGE_ID,
        *_TEXTS,
        Column("alt_text_words", "INT", "Words in the alt-text"),
        Column("long_positive_words", "INT", "Words in long_positive"),
        Column("long_positive_tokens", "INT", "Tokens of long_positive by CLIP's BPE, of which CLIP reads 77"),
        Column("long_negative_tokens", "INT", "Tokens of long_negative by CLIP's BPE, of which CLIP reads 77"),
        Column("language", "STRING", "Language of long_positive, ISO 639-1 where it has a code; und if unknown"),
        Column("language_score", "DOUBLE", "How sure that language is, 0 to 1"),
        Column("is_copy_of_alt_text", "BOOLEAN", "Whether long_positive says no word that the alt-text does not say"),
        Column("width", "INT", "Width of the original image in pixels"),
        Column("height", "INT", "Height of the original image in pixels"),
        Column("source", "STRING", "Folder, tar, file or table that the pair came from"),
        Column("source_uid", "STRING", "Name of the pair within its source"),
        Column("url", "STRING", "Where the web showed the image, if known", nullable=True),
        Column("licence", "STRING", "Licence of the image, if known", nullable=True),
        Column("model", "STRING", "Model URI that wrote the four texts"),
        Column("revision", "STRING", "Revision of that model's weights, or of the rules"),
        Column("prompt_hash", "STRING", "SHA-256, in hex, of the prompt file"),
        Column("request_key", "STRING", "The answer in silver.responses that the four texts were read from"),
        Column("recap_model", "STRING", "Model URI that wrote RECAP's two captions", nullable=True),
        Column("recap_revision", "STRING", "Revision of that model's weights, or of the rules", nullable=True),
        Column("recap_short_prompt_hash", "STRING", "SHA-256, in hex, of the short one's prompt file", nullable=True),
        Column("recap_long_prompt_hash", "STRING", "SHA-256, in hex, of the long one's prompt file", nullable=True),
        _RECAP_KEYS,
        _RUN_ID,
    ),
)

TAGS = Table(
    name="gold.tags",
    comment="The tag vocabulary: what the tag classifier of HQ-CLIP (STC) predicts",
    key=("vocabulary", "tag_id"),
    cluster_by=("vocabulary", "tag_id"),
    statistics=("samples",),
    columns=(
        Column(
            "vocabulary",
            "STRING",
            "First 12 hex digits of the SHA-256 of its tags in order; with a number where it came back into use",
        ),
        Column("tag_id", "INT", "Position of the tag, 0 for the most frequent"),
        Column("tag", "STRING", "The tag in normal form: lower case, single spaces"),
        Column("samples", "BIGINT", "Samples that carried the tag when the vocabulary was built"),
        Column("built_at", "TIMESTAMP", "When the vocabulary was built, UTC; the newest one is in use"),
        _RUN_ID,
    ),
)

TRAINING = Table(
    name="gold.training",
    comment="A row as a trainer reads it: image at training size, all texts, tag ids",
    key=("sample_id",),
    statistics=("sample_id", "split", "bucket"),
    checks={"has_a_known_split": "split IN ('train', 'held_out')"},
    columns=(
        _SAMPLE_ID,
        _IMAGE_ID,
        Column("image", "BINARY", "JPEG made by us at training size, on white, upright, sRGB"),
        Column(
            "image_policy", "STRING", "How it was made: jpeg-crop-256 has a shorter side of 256, jpeg-pad-72 is square"
        ),
        *_TEXTS,
        Column("tag_ids", "ARRAY<INT>", "Positive tags as positions in the vocabulary, ascending"),
        Column("vocabulary", "STRING", "Version of the vocabulary that tag_ids refer to"),
        Column("request_key", "STRING", "The answer in silver.responses that the four texts were read from"),
        _RECAP_KEYS,
        Column("split", "STRING", "train or held_out, by hash of the image, so that one image is never in both"),
        Column("bucket", "INT", "0 to 999 by hash of the image: a reproducible sample is a predicate on it"),
        _RUN_ID,
    ),
)

RELEASES = Table(
    name="gold.releases",
    comment="A training release: anyone can rebuild the same batches from this line",
    key=("release",),
    columns=(
        Column("release", "STRING", "Name of the release"),
        Column("table_name", "STRING", "Table that the release pins"),
        Column("table_version", "BIGINT", "Delta version of that table"),
        Column("predicate", "STRING", "SQL that a row must meet, over split and bucket"),
        Column("mix", "STRING", "Default mix of texts, as a JSON object of column to weight"),
        Column("negatives", "STRING", "Default mix of negative texts, as a JSON object of column to weight"),
        Column("seed", "BIGINT", "Seed of order and choice of text"),
        Column("vocabulary", "STRING", "Version of the tag vocabulary"),
        Column("tag_count", "INT", "Tags in that vocabulary"),
        Column("train_rows", "BIGINT", "Rows of split train"),
        Column("held_out_rows", "BIGINT", "Rows of split held_out"),
        Column("digest", "STRING", "SHA-256, in hex, over the ids, splits, answers and image policy of all rows"),
        Column("released_at", "TIMESTAMP", "When the release was made, UTC"),
        _RUN_ID,
    ),
)

EVALUATIONS = Table(
    name="gold.evaluations",
    comment="One metric of one checkpoint, of an audited sample of gold.captions, or of two models side by side",
    key=("checkpoint", "name", "dataset", "metric"),
    columns=(
        Column(
            "checkpoint",
            "STRING",
            "SHA-256, in hex, of the checkpoint's weights; of an audit or a comparison, of what was looked at",
        ),
        Column(
            "name", "STRING", "Name of the training run, for people; else the job: audit_captions, compare_captions"
        ),
        Column(
            "dataset",
            "STRING",
            "What was evaluated: release, split and query text; a suite and the digest of its files; rows, and by what "
            "scorer; or who against whom",
        ),
        Column(
            "metric",
            "STRING",
            "text_to_image_r10, image_to_text_r1, top1, hard_negative_long, blind_auc_long, jaccard_long_mean, ...",
        ),
        Column("value", "DOUBLE", "Value of the metric"),
        Column("n", "BIGINT", "Queries or samples behind the value"),
        Column("low", "DOUBLE", "Lower bound of the 95 % interval of value; null where none was made", nullable=True),
        Column("high", "DOUBLE", "Upper bound of the 95 % interval of value; null where none was made", nullable=True),
        Column(
            "release",
            "STRING",
            "Release that the checkpoint was trained on, or a foreign one measured on; empty where there is none",
        ),
        Column("evaluated_at", "TIMESTAMP", "When it was measured, UTC"),
        _RUN_ID,
    ),
)

WEBS_OWN = "/held_out/web_text/"
"""Stands in ``dataset`` where held-out images were searched by web_text, which every training run is measured by."""

AUDIT_COUNTS = Table(
    name="gold.audit_counts",
    comment="How often a phrase, or a value of some size, stands in the texts of an audited sample",
    key=("checkpoint", "dataset", "figure", "place", "part"),
    columns=(
        Column("checkpoint", "STRING", "As in gold.evaluations"),
        Column("dataset", "STRING", "As in gold.evaluations"),
        Column(
            "figure",
            "STRING",
            "giveaway_long or giveaway_short: phrases that tell false texts from true ones; else a histogram",
        ),
        Column("place", "INT", "From 1: phrases that tell the most first, bins from the lowest value"),
        Column("label", "STRING", "The phrase, in lower case; or the value that the bin starts with"),
        Column("part", "STRING", "positive or negative; or a kind of text: alt_text, long_positive, ..."),
        Column("n", "BIGINT", "Texts that hold the phrase, or whose value is in the bin"),
        _RUN_ID,
    ),
)


def _side(side: str) -> tuple[Column, ...]:
    """Return what stands in a comparison of one of its two sides."""
    texts = {"long_positive": "STRING", "short_positive": "ARRAY<STRING>"}
    texts |= {"long_negative": "STRING", "short_negative": "ARRAY<STRING>"}
    return (
        Column(f"{side}_model", "STRING", f"The {side} one: the model's URI without what changes no answer"),
        Column(f"{side}_revision", "STRING", "Revision of that model's weights, or of the rules"),
        Column(f"{side}_prompt", "STRING", "Name of the prompt file that asked it"),
        Column(f"{side}_prompt_hash", "STRING", "SHA-256, in hex, of that prompt file"),
        Column(f"{side}_request_key", "STRING", "Its answer in silver.responses"),
        *(
            Column(f"{side}_{name}", kind, "As in silver.descriptions; null if rejected", True)
            for name, kind in texts.items()
        ),
        Column(f"{side}_repairs", "ARRAY<STRING>", "What had to be mended to read its answer; empty if nothing"),
        Column(f"{side}_reason", "STRING", "Why its answer was rejected, from the closed list", nullable=True),
        Column(
            f"{side}_tokens", "INT", f"CLIP's tokens of {side}_long_positive, start and end included", nullable=True
        ),
        Column(
            f"{side}_similarity",
            "DOUBLE",
            f"100 times the cosine between image and {side}_long_positive; null if not scored",
            nullable=True,
        ),
    )


COMPARISONS = Table(
    name="gold.comparisons",
    comment="What two models, or one under two prompts, said of one sample, side by side",
    key=("comparison", "sample_id"),
    cluster_by=("comparison",),
    columns=(
        Column(
            "comparison", "STRING", "SHA-256, in hex, of the answers and the scorer; checkpoint in gold.evaluations"
        ),
        _SAMPLE_ID,
        Column("scorer", "STRING", "Who measured the similarities, with its revision; empty if no one"),
        *_side("first"),
        *_side("second"),
        Column(
            "word_distance",
            "DOUBLE",
            "Share of the words of both long_positive that only one has, 0 to 1; null if either is rejected",
            nullable=True,
        ),
        _RUN_ID,
    ),
)

PROMOTIONS = Table(
    name="gold.promotions",
    comment="Whose texts publish_gold takes where no one is named: of each kind the newest row counts",
    key=("kind", "promoted_at"),
    columns=(
        Column("kind", "STRING", "What is published: descriptions"),
        Column("model", "STRING", "Model URI as it was given, with where it runs"),
        Column("identity", "STRING", "Model URI as it stands in silver.descriptions: without what changes no answer"),
        Column("revision", "STRING", "Revision of the model's weights, or of the rules"),
        Column("prompt", "STRING", "Name of the prompt file"),
        Column("prompt_hash", "STRING", "SHA-256, in hex, of the prompt file"),
        Column("why", "STRING", "By what rule, or that it was named by hand"),
        Column("promoted_at", "TIMESTAMP", "When it was promoted, UTC"),
        _RUN_ID,
    ),
)

TABLES = (CAPTIONS, TAGS, TRAINING, RELEASES, EVALUATIONS, AUDIT_COUNTS, COMPARISONS, PROMOTIONS)
