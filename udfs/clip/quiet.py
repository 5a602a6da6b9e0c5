"""Keep transformers' own notices and bars off a console that shows the job's progress."""

from transformers.utils import logging


def be_quiet() -> None:
    """Let transformers say nothing but errors, in this process."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
