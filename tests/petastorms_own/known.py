"""Which of petastorm's own tests fail through the bridge or cannot run, and why."""

KNOWN_FAILURES: dict[str, str] = {}
"""The reason for each test that is known to fail; one that passes all the same is reported."""

NOT_COLLECTED = {"test_reading_legacy_datasets": "the datasets that it reads are not in the wheel"}
"""Modules that cannot be collected."""

ASKED = (
    "petastorm/test_end_to_end",
    "petastorm/test_ngram_end_to_end",
    "petastorm/test_parquet_reader",
    "petastorm/test_pytorch_dataloader",
    "petastorm/test_pytorch_utils",
    "petastorm/test_reader",
    "petastorm/test_weighted_sampling_reader",
    "workers_pool/test_ventilator",
    "workers_pool/test_workers_pool",
)
"""Readers, loaders, pools, ventilator, end to end: what people use petastorm for."""
