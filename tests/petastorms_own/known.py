"""Which of petastorm's own tests fail through the bridge or cannot run, and why."""

_TORCH_KNOWS = "it expects that torch does not know this type, as torch did not then; petastorm widens it all the same"

KNOWN_FAILURES: dict[str, str] = {
    "petastorm/test_pytorch_dataloader::test_torch_tensorable_types[uint16]": _TORCH_KNOWS,
    "petastorm/test_pytorch_dataloader::test_torch_tensorable_types[uint32]": _TORCH_KNOWS,
    "petastorm/test_dataset_metadata::test_serialize_filesystem_factory": (
        "it sends a class of its own, derived from the old local file system, to Spark's workers; the stand-in is "
        "fsspec's, and a class derived from that one holds a lock, which Spark cannot send"
    ),
    "petastorm/test_spark_dataset_converter::test_atexit": (
        "it starts a Python that imports petastorm without importing the bridge first"
    ),
    "petastorm/test_spark_dataset_converter::test_torch_transform_spec": "it imports torchvision",
}
"""The reason for each test that is known to fail; one that passes all the same is reported."""

MAY_FAIL: dict[str, str] = {
    "petastorm/test_reader::test_cleanup_cache_manual_call": (
        "it removes the cache's folder while the threads of its reader may still be writing there, and so make it anew"
    ),
    "workers_pool/test_workers_pool::TestWorkersPool::test_workers_die_when_main_process_dies": (
        "it gives an orphaned process two seconds to vanish, one of which petastorm sleeps; where the machine's first "
        "process buries the dead two seconds late, that is too short"
    ),
}
"""The reason for each test whose outcome depends on the machine."""

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
