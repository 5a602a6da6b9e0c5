"""Silver: what was measured, decided and described, one fact a column."""

from lakehouse.table import Column, Table

_SAMPLE_ID = Column("sample_id", "STRING", "Key of the pair in bronze.pairs")
_IMAGE_ID = Column("image_id", "STRING", "SHA-256, in hex, of the encoded image bytes")
_RUN_ID = Column("run_id", "STRING", "Run that wrote the row")

SIGNALS = Table(
    name="silver.signals",
    comment="What was measured of a pair, its text and its image, in one decode",
    key=("sample_id",),
    cluster_by=("sample_id",),
    statistics=(
        "words",
        "chars",
        "language",
        "width",
        "height",
        "aspect",
        "entropy",
        "sharpness",
        "phash",
        "ingested_at",
    ),
    columns=(
        _SAMPLE_ID,
        _IMAGE_ID,
        Column(
            "ingested_at",
            "TIMESTAMP",
            "When the pair came in: of those that repeat each other the first that passes stays",
        ),
        Column("web_tags", "ARRAY<STRING>", "Tags that came with the image, in lower case; empty if there were none"),
        Column("words", "INT", "Words in the alt-text, split at white space"),
        Column("chars", "INT", "Characters in the alt-text, without white space at its ends"),
        Column("language", "STRING", "Most likely language of the alt-text, ISO 639-1 or -3; und where nothing speaks"),
        Column("language_score", "FLOAT", "Probability of that language, 0 to 1"),
        Column("text_hash", "BIGINT", "64-bit hash of the alt-text, in lower case with single spaces, and of web_tags"),
        Column("repetition", "FLOAT", "Share of words that repeat an earlier word of the alt-text, 0 to 1"),
        Column("is_file_name", "BOOLEAN", "The alt-text looks like a file name: IMG_1234.jpg, DSC-0012"),
        Column("has_url", "BOOLEAN", "The alt-text holds a web address"),
        Column("has_email", "BOOLEAN", "The alt-text holds an e-mail address"),
        Column("has_html", "BOOLEAN", "The alt-text holds HTML tags or entities"),
        Column("width", "INT", "Width in pixels"),
        Column("height", "INT", "Height in pixels"),
        Column("aspect", "FLOAT", "Longer side by shorter side, 1 or more"),
        Column("entropy", "FLOAT", "Shannon entropy of the grey-level histogram, in bits, 0 to 8"),
        Column("sharpness", "FLOAT", "Variance of the Laplacian of the grey image at 256 pixels; small is blurred"),
        Column(
            "flat_share", "FLOAT", "Share of the most frequent colour (4 bits a channel), 0 to 1; 1 is one flat colour"
        ),
        Column("alpha_share", "FLOAT", "Share of pixels that are at least half transparent, 0 to 1"),
        Column("colours", "ARRAY<STRING>", "Names of the main colours on white, most frequent first, at most three"),
        Column("mean_rgb", "ARRAY<INT>", "Mean red, green and blue of the image on white, 0 to 255"),
        Column("phash", "BIGINT", "64-bit perceptual hash (DCT) of the grey image on white"),
        _RUN_ID,
    ),
)

DUPLICATES = Table(
    name="silver.duplicates",
    comment="Which earlier pair each pair repeats, and how worn its text is: one row for every measured pair",
    key=("sample_id",),
    cluster_by=("sample_id",),
    statistics=("group_id", "kind", "text_place"),
    checks={
        "does_not_repeat_itself": "earlier_id IS NULL OR earlier_id <> sample_id",
        "repeats_or_is_first": "(kind IS NULL) = (group_id = sample_id)",
    },
    columns=(
        _SAMPLE_ID,
        Column(
            "group_id", "STRING", "sample_id of the first of those that repeat each other, directly or through others"
        ),
        Column(
            "earlier_id", "STRING", "sample_id of the earliest pair that it repeats; null for a first", nullable=True
        ),
        Column(
            "kind",
            "STRING",
            "exact: same image bytes as earlier_id; perceptual: look-alike by hash and colour; null for a first",
            nullable=True,
        ),
        Column(
            "distance", "INT", "Bits in which its hash differs from that of earlier_id; null for a first", nullable=True
        ),
        Column("text_hash", "BIGINT", "As in silver.signals"),
        Column("text_place", "INT", "How many firsts with this text had come when it came, itself included"),
        _RUN_ID,
    ),
)

SELECTIONS = Table(
    name="silver.selections",
    comment="A sample chosen by a named filter",
    key=("selection", "sample_id"),
    cluster_by=("selection", "sample_id"),
    columns=(
        Column("selection", "STRING", "Name of the choice"),
        _SAMPLE_ID,
        Column("group_id", "STRING", "As in silver.duplicates: a selection holds one of each group"),
        _RUN_ID,
    ),
)

SAMPLES = Table(
    name="silver.samples",
    comment="A curated pair with its bytes: what captioning streams from",
    key=("sample_id",),
    cluster_by=("sample_id",),
    statistics=("image_id",),
    columns=(
        _SAMPLE_ID,
        _IMAGE_ID,
        Column("image", "BINARY", "The encoded image as it came"),
        Column("alt_text", "STRING", "The text that came with the image"),
        Column("web_tags", "ARRAY<STRING>", "Tags that came with the image, in lower case; empty if there were none"),
        Column("colours", "ARRAY<STRING>", "Names of the main colours, most frequent first (silver.signals)"),
        Column("width", "INT", "Width in pixels"),
        Column("height", "INT", "Height in pixels"),
        _RUN_ID,
    ),
)

RESPONSES = Table(
    name="silver.responses",
    comment="The ledger: one answer a request_key, paid once; and what failed, once a run that tried",
    key=("request_key", "run_id"),
    cluster_by=("model", "prompt_hash", "request_key"),
    statistics=("sample_id", "status", "asked_at"),
    checks={
        "has_a_known_status": "status IN ('answered', 'failed', 'missed')",
        "is_an_answer_or_a_reason": "(status = 'answered') = (reason IS NULL)",
    },
    columns=(
        Column("request_key", "STRING", "SHA-256, in hex, of canonical JSON of everything that can change the answer"),
        _SAMPLE_ID,
        Column("task", "STRING", "What was asked for: describe, recap_short, recap_long, rate"),
        Column("model", "STRING", "Model URI"),
        Column("revision", "STRING", "Revision of the model's weights, or of the rules"),
        Column("prompt", "STRING", "Name of the prompt file"),
        Column("prompt_hash", "STRING", "SHA-256, in hex, of the prompt file"),
        Column("status", "STRING", "answered; failed for good; or missed: no server answered, the next run asks again"),
        Column("reason", "STRING", "Why there is no answer, from the closed list", nullable=True),
        Column("detail", "STRING", "What exactly was wrong, for people", nullable=True),
        Column("answer", "STRING", "The model's text as it came, capped at 64 KiB", nullable=True),
        Column(
            "reply", "VARIANT", "The server's whole reply where it is JSON: reply:usage.total_tokens", nullable=True
        ),
        Column("raw", "STRING", "The server's reply, capped at 16 KiB, where it is no JSON", nullable=True),
        Column("input_tokens", "BIGINT", "Tokens read, if the model counts them", nullable=True),
        Column("output_tokens", "BIGINT", "Tokens written, if the model counts them", nullable=True),
        Column("cost_usd", "DOUBLE", "What the answer cost, in US dollars"),
        Column("seconds", "DOUBLE", "From sending to the whole answer"),
        Column("attempts", "INT", "Requests sent for this answer"),
        Column("asked_at", "TIMESTAMP", "When the answer came, UTC"),
        _RUN_ID,
    ),
)

DESCRIPTIONS = Table(
    name="silver.descriptions",
    comment="HQ-CLIP's four texts of one sample, by one revision of a model and one prompt (section 3 of the paper)",
    key=("sample_id", "model", "revision", "prompt_hash"),
    cluster_by=("sample_id",),
    statistics=("model", "revision", "prompt_hash"),
    checks={
        "has_a_long_positive": "length(trim(long_positive)) > 0",
        "tags_do_not_contradict": "NOT arrays_overlap(short_positive, short_negative)",
    },
    columns=(
        _SAMPLE_ID,
        Column("long_positive", "STRING", "What the image shows, in one to three sentences"),
        Column("short_positive", "ARRAY<STRING>", "Tags: things that are in the image, in lower case, best first"),
        Column("long_negative", "STRING", "A description close to the truth that is false of the image"),
        Column("short_negative", "ARRAY<STRING>", "Tags: things one might expect that are not in the image"),
        Column("long_positive_tokens", "INT", "Tokens of long_positive by CLIP's BPE, start and end included"),
        Column("long_negative_tokens", "INT", "Tokens of long_negative by CLIP's BPE, start and end included"),
        Column("language", "STRING", "Language of long_positive, ISO 639-1 where it has a code; und if unknown"),
        Column("language_score", "DOUBLE", "How sure that language is, 0 to 1"),
        Column("repairs", "ARRAY<STRING>", "What had to be mended to read the answer, in order; empty if nothing"),
        Column("request_key", "STRING", "The answer in silver.responses that the texts were read from"),
        Column("model", "STRING", "Model URI"),
        Column("revision", "STRING", "Revision of the model's weights, or of the rules"),
        Column("prompt_hash", "STRING", "SHA-256, in hex, of the prompt file"),
        _RUN_ID,
    ),
)


def _caption(kind: str, length: str, what: str) -> tuple[Column, ...]:
    return (
        Column(kind, "STRING", f"{what}; null where the answer was turned away: see ops.rejects", nullable=True),
        Column(f"{kind}_tokens", "INT", f"Tokens of {kind} for the tokenizer, start and end included", nullable=True),
        Column(f"is_{kind}_over_77", "BOOLEAN", f"{kind} has more than the 77 tokens that CLIP reads", nullable=True),
        Column(f"{kind}_repairs", "ARRAY<STRING>", f"What had to be mended to read the {length} one; empty if nothing"),
        Column(f"{kind}_request_key", "STRING", f"The answer in silver.responses that {kind} was read from"),
        Column(f"{kind}_prompt_hash", "STRING", f"SHA-256, in hex, of the prompt file that asked for the {length} one"),
    )


RECAPTIONS = Table(
    name="silver.recaptions",
    comment="RECAP's two captions of one sample, by one revision of a model under two prompts (section 4 of the paper)",
    key=("sample_id", "model", "revision", "recap_short_prompt_hash", "recap_long_prompt_hash"),
    cluster_by=("sample_id",),
    statistics=("model", "revision", "recap_short_prompt_hash", "recap_long_prompt_hash"),
    checks={
        "a_short_one_is_counted": "(recap_short IS NULL) = (recap_short_tokens IS NULL)",
        "a_long_one_is_counted": "(recap_long IS NULL) = (recap_long_tokens IS NULL)",
    },
    columns=(
        _SAMPLE_ID,
        *_caption("recap_short", "short", "What the image mainly shows, in a sentence or two"),
        *_caption(
            "recap_long", "long", "What is to be seen in detail: things, number, colours, places, setting, style"
        ),
        Column("tokenizer", "STRING", "Who counted the tokens: clip is the BPE of OpenAI's and open_clip's models"),
        Column("model", "STRING", "Model URI"),
        Column("revision", "STRING", "Revision of the model's weights, or of the rules"),
        _RUN_ID,
    ),
)

TABLES = (SIGNALS, DUPLICATES, SELECTIONS, SAMPLES, RESPONSES, DESCRIPTIONS, RECAPTIONS)
