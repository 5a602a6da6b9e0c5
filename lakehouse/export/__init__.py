"""A release written out for readers that know nothing of a lake: shards of WebDataset, or Parquet of Hugging Face."""
