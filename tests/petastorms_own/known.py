"""Which of petastorm's own tests fail through the bridge or cannot run, and why."""

_TORCH_KNOWS = "it expects that torch does not know this type, as torch did not then; petastorm widens it all the same"

_TENSORFLOW_ON_SPARK = (
    "it needs TensorFlow in Spark's worker, where the stand-in's answer comes back as an error of Spark"
)
_OLD_PARTITIONS = "it makes objects of pyarrow's old PartitionSet, which petastorm itself does not name"

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
    "petastorm/test_spark_dataset_converter::test_get_spark_session_safe_check": (
        "it expects Spark 3's Py4JJavaError for an error in a worker, where Spark 4 raises PythonException"
    ),
    "petastorm/test_spark_dataset_converter::test_pickling_remotely": _TENSORFLOW_ON_SPARK,
    "petastorm/test_spark_dataset_converter::test_torch_transform_spec": "it imports torchvision",
    "petastorm/test_tf_utils::test_decimal_conversion": _TENSORFLOW_ON_SPARK,
    "petastorm/test_tf_utils::test_schema_to_dtype_list": "it compares types of TensorFlow",
    "petastorm/test_tf_utils::test_uint16_promotion_to_int32": _TENSORFLOW_ON_SPARK,
    "petastorm/test_unischema::test_arrow_schema_convertion_with_int_partitions": _OLD_PARTITIONS,
    "petastorm/test_unischema::test_arrow_schema_convertion_with_string_partitions": _OLD_PARTITIONS,
    "petastorm/test_unischema::test_match_unischema_fields_legacy_warning": (
        "it asks for pytest.warns(None), which pytest no longer has"
    ),
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
