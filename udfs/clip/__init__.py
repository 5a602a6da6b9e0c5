"""A small CLIP on transformers: tokenizer, model, training loop, retrieval. Needs the extra ``train``."""
