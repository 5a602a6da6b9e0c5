"""Run an image-text-to-text model of transformers in this process: weights, prompts, batches, and a reason for all."""
