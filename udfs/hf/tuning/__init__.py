"""Tune a captioner on a teacher's answers (HQ-CLIP, section 3): chat data in, a folder for ``hf://`` out, no Spark."""
