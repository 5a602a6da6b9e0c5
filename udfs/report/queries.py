"""The report's questions to the lake, in SQL over the tables' names: what runs is what the page shows."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from udfs.report.bins import LENGTHS, SIGNALS, Bins

_NAME: Final = re.compile(r"\b(bronze|silver|gold|ops)\.(\w+)")


@dataclass(frozen=True)
class Query:
    """A question; it is asked where all tables that it ``needs`` are there. Another that is missing counts as empty.

    ``sql`` may hold parameters such as ``:selection``.
    """

    sql: str
    needs: tuple[str, ...]

    @property
    def tables(self) -> list[str]:
        """Return the names of all tables in the question."""
        return sorted({match[0] for match in _NAME.finditer(self.sql)})

    def shown(self, values: Mapping[str, str | int]) -> str:
        """Return the SQL as anyone can run it, with ``values`` in place of its parameters."""
        return _filled(self.sql, {name: _literal(value) for name, value in values.items()})

    def template(self, values: Mapping[str, str | int]) -> str:
        """Return the same SQL with ``{bronze_pairs}`` for bronze.pairs: what spark.sql fills with data frames."""
        # Not by Spark's own parameters: Delta's SQL parser leaves those in subqueries unbound (pyspark 4.2, delta 4.4).
        literals = {name: _literal(value).replace("{", "{{").replace("}", "}}") for name, value in values.items()}
        return _filled(_NAME.sub(r"{\1_\2}", self.sql), literals)


def _filled(sql: str, literals: Mapping[str, str]) -> str:
    return re.sub(r":([a-z_]+)", lambda match: literals[match[1]], sql)


def _literal(value: str | int) -> str:
    return str(value) if isinstance(value, int) else "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _binned(bins: Sequence[Bins], source: str) -> str:
    """Return SQL that counts the rows of ``source`` by histogram, side (``is_kept``) and bin, in one pass."""
    pairs = ",\n        ".join(f"'{one.name}', {one.bucket_sql}" for one in bins)
    stack = f"stack({len(bins)},\n        {pairs}) AS (name, bin)"
    return f"""SELECT name, is_kept, bin, count(*) AS n
FROM (
    SELECT is_kept, {stack}
    FROM ({source})
)
WHERE bin IS NOT NULL
GROUP BY name, is_kept, bin"""  # noqa: S608


_JUDGED: Final = """
    SELECT s.*, m.sample_id IS NOT NULL AS is_kept
    FROM silver.signals s
    LEFT JOIN (SELECT sample_id FROM silver.selections WHERE selection = :selection) m ON s.sample_id = m.sample_id
"""

FUNNEL: Final = Query(
    """SELECT
    (SELECT count(*) FROM ops.rejects WHERE stage = 'ingest_pairs') AS rejected_at_ingest,
    (SELECT count(*) FROM bronze.pairs) AS pairs,
    (SELECT count(*) FROM ops.rejects WHERE stage = concat('select_pairs/', :selection)
        AND reason IN ('exact_duplicate', 'perceptual_duplicate')) AS duplicates,
    (SELECT count(*) FROM silver.selections WHERE selection = :selection) AS selected,
    (SELECT count(*) FROM ops.rejects WHERE stage IN ('measure_pairs', concat('select_pairs/', :selection)))
        AS rejected_at_selection,
    (SELECT count(DISTINCT sample_id) FROM silver.descriptions) AS described,
    (SELECT count(*) FROM gold.training) AS published""",
    needs=("bronze.pairs",),
)

REJECTS: Final = Query(
    "SELECT stage, reason, count(*) AS n FROM ops.rejects GROUP BY stage, reason ORDER BY stage, n DESC, reason",
    needs=("ops.rejects",),
)

HISTOGRAMS: Final = Query(_binned(SIGNALS, _JUDGED), needs=("silver.signals",))

LANGUAGES: Final = Query(
    f"""SELECT language, count_if(is_kept) AS kept, count_if(NOT is_kept) AS not_kept
FROM ({_JUDGED})
GROUP BY language ORDER BY count(*) DESC, language LIMIT 10""",  # noqa: S608
    needs=("silver.signals",),
)

TEXT_LENGTHS: Final = Query(_binned(LENGTHS, "SELECT *, true AS is_kept FROM gold.captions"), needs=("gold.captions",))

TAGS: Final = Query(
    """SELECT tag, samples FROM gold.tags
WHERE vocabulary = (SELECT max_by(vocabulary, built_at) FROM gold.tags)
ORDER BY tag_id LIMIT 24""",
    needs=("gold.tags",),
)

VOCABULARY: Final = Query(
    """SELECT vocabulary, count(*) AS tags FROM gold.tags
WHERE vocabulary = (SELECT max_by(vocabulary, built_at) FROM gold.tags)
GROUP BY vocabulary""",
    needs=("gold.tags",),
)

RELEASES: Final = Query(
    "SELECT * FROM gold.releases ORDER BY released_at DESC, release LIMIT 20", needs=("gold.releases",)
)

EVALUATIONS: Final = Query(
    """SELECT dataset, name, metric, max_by(value, evaluated_at) AS value, max_by(n, evaluated_at) AS n,
    max(evaluated_at) AS evaluated_at
FROM gold.evaluations WHERE release <> '' AND dataset LIKE '%/held_out/web_text/%'
GROUP BY dataset, name, metric ORDER BY evaluated_at DESC, dataset, name, metric LIMIT 400""",
    needs=("gold.evaluations",),
)

SUITES: Final = Query(
    """SELECT dataset, name, metric, max_by(value, evaluated_at) AS value, max_by(low, evaluated_at) AS low,
    max_by(high, evaluated_at) AS high, max_by(n, evaluated_at) AS n, max(evaluated_at) AS evaluated_at
FROM gold.evaluations WHERE release <> '' AND dataset NOT LIKE '%/held_out/web_text/%'
GROUP BY dataset, name, metric ORDER BY evaluated_at DESC, dataset, metric, name LIMIT 800""",
    needs=("gold.evaluations",),
)

LOSSES: Final = Query(
    """SELECT dataset, name, metric, max_by(value, evaluated_at) AS value, max_by(n, evaluated_at) AS n
FROM gold.evaluations
WHERE release <> '' AND contains(dataset, '/held_out/') AND metric IN ('text_to_image_r10', 'image_to_text_r10',
    'hard_negative_long', 'hard_negative_short', 'other_images_long', 'other_images_short',
    'blind_words_long', 'blind_words_short')
GROUP BY dataset, name, metric ORDER BY max(evaluated_at) DESC, dataset, name, metric LIMIT 1000""",
    needs=("gold.evaluations",),
)

AUDIT: Final = Query(
    """SELECT dataset, metric, max_by(value, evaluated_at) AS value, max_by(n, evaluated_at) AS n,
    max(evaluated_at) AS evaluated_at
FROM gold.evaluations WHERE name = 'audit_captions'
GROUP BY dataset, metric ORDER BY evaluated_at DESC, dataset, metric LIMIT 400""",
    needs=("gold.evaluations",),
)

AUDIT_COUNTS: Final = Query(
    """SELECT c.dataset, c.figure, c.place, c.label, c.part, c.n
FROM gold.audit_counts c
JOIN (
    SELECT dataset, max_by(checkpoint, evaluated_at) AS checkpoint, max(evaluated_at) AS evaluated_at
    FROM gold.evaluations WHERE name = 'audit_captions' GROUP BY dataset
) e ON c.dataset = e.dataset AND c.checkpoint = e.checkpoint
ORDER BY e.evaluated_at DESC, c.dataset, c.figure, c.place, c.part LIMIT 2000""",
    needs=("gold.audit_counts", "gold.evaluations"),
)

_NEWEST_COMPARISONS: Final = """
    SELECT checkpoint, max(evaluated_at) AS made_at FROM gold.evaluations WHERE name = 'compare_captions'
    GROUP BY checkpoint ORDER BY made_at DESC, checkpoint LIMIT 3
"""

COMPARISONS: Final = Query(
    f"""SELECT e.checkpoint, e.metric, e.value, e.n, w.*
FROM gold.evaluations e
JOIN ({_NEWEST_COMPARISONS}) n ON e.checkpoint = n.checkpoint
JOIN (
    SELECT DISTINCT comparison, scorer, first_model, first_revision, first_prompt, first_prompt_hash,
        second_model, second_revision, second_prompt, second_prompt_hash FROM gold.comparisons
) w ON e.checkpoint = w.comparison
ORDER BY n.made_at DESC, e.checkpoint, e.metric LIMIT 600""",  # noqa: S608
    needs=("gold.comparisons", "gold.evaluations"),
)

COMPARED: Final = Query(
    f"""WITH placed AS (
    SELECT c.*, n.made_at, row_number() OVER (PARTITION BY c.comparison ORDER BY
        abs(c.first_similarity - c.second_similarity) DESC NULLS LAST, c.word_distance DESC NULLS LAST, c.sample_id
    ) AS place
    FROM gold.comparisons c JOIN ({_NEWEST_COMPARISONS}) n ON c.comparison = n.checkpoint
)
SELECT comparison, sample_id, first_long_positive, first_short_positive, first_reason, first_similarity,
    second_long_positive, second_short_positive, second_reason, second_similarity
FROM placed WHERE place <= 12 ORDER BY made_at DESC, comparison, place""",  # noqa: S608
    needs=("gold.comparisons", "gold.evaluations"),
)

PROMOTIONS: Final = Query(
    "SELECT model, prompt, why, promoted_at FROM gold.promotions ORDER BY promoted_at DESC LIMIT 10",
    needs=("gold.promotions",),
)

RUNS: Final = Query(
    """SELECT run_id, job, status, error, counts, started_at, seconds, cost_usd, code_version
FROM ops.runs ORDER BY started_at DESC, run_id LIMIT 60""",
    needs=("ops.runs",),
)

ANSWERS: Final = Query(
    """SELECT model, revision, prompt, status, count(*) AS answers, sum(attempts) AS attempts,
    sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, sum(cost_usd) AS cost_usd,
    avg(seconds) AS seconds
FROM silver.responses
GROUP BY model, revision, prompt, status ORDER BY answers DESC LIMIT 20""",
    needs=("silver.responses",),
)

GALLERY: Final = Query(
    """SELECT sample_id, alt_text, web_tags, long_positive, short_positive, long_negative, short_negative,
    source_uid, url, licence, model
FROM gold.captions ORDER BY xxhash64(sample_id, :seed), sample_id LIMIT :gallery""",
    needs=("gold.captions",),
)

# Spark keeps only the first rows of each group before it shuffles (WindowGroupLimit): no task sees a whole group.
REJECTED: Final = Query(
    """WITH placed AS (
    SELECT row_id, stage, reason, detail, source_uid,
        row_number() OVER (PARTITION BY stage, reason ORDER BY xxhash64(row_id, :seed), row_id) AS place
    FROM ops.rejects
), chosen AS (
    SELECT *, CASE WHEN reason IN ('exact_duplicate', 'perceptual_duplicate') THEN detail END AS kept_id
    FROM placed WHERE place <= :each
)
SELECT c.stage, c.reason, c.row_id, c.detail, c.source_uid, c.kept_id, bit_count(s.phash ^ k.phash) AS distance,
    s.width, s.height, s.aspect, s.words, s.language, s.language_score, s.entropy, s.flat_share, s.repetition
FROM chosen c
LEFT JOIN silver.signals s ON c.row_id = s.sample_id
LEFT JOIN silver.signals k ON c.kept_id = k.sample_id
ORDER BY c.stage, c.reason, c.place""",
    needs=("ops.rejects",),
)

QUERIES: Final[Mapping[str, Query]] = {
    "funnel": FUNNEL,
    "rejects": REJECTS,
    "histograms": HISTOGRAMS,
    "languages": LANGUAGES,
    "text_lengths": TEXT_LENGTHS,
    "tags": TAGS,
    "vocabulary": VOCABULARY,
    "releases": RELEASES,
    "evaluations": EVALUATIONS,
    "suites": SUITES,
    "losses": LOSSES,
    "audit": AUDIT,
    "audit_counts": AUDIT_COUNTS,
    "comparisons": COMPARISONS,
    "compared": COMPARED,
    "promotions": PROMOTIONS,
    "runs": RUNS,
    "answers": ANSWERS,
    "gallery": GALLERY,
    "rejected": REJECTED,
}
"""Name of a figure -> the question that it answers. None gives more than 2,000 rows, however large the lake."""
