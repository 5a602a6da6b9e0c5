"""Why a row was turned away: the closed list that ``ops.rejects`` and the report use."""

from typing import Final

REASONS: Final[dict[str, str]] = {
    # ingest: the source
    "missing_caption": "no alt-text came with the image",
    "bad_utf8": "the alt-text is not UTF-8",
    "missing_image": "an alt-text without an image",
    "unsafe_name": "a member name that is absolute, climbs out by '..' or is a link or device",
    "duplicate_key": "a second image or text under a key that was used already",
    "duplicate_pair": "the same image with the same alt-text came before",
    "too_many_bytes": "a file over the byte limit",
    "truncated_source": "the source ends in the middle of this member",
    "bad_metadata": "the sidecar is not a JSON object",
    # ingest: the image
    "empty_image": "zero bytes",
    "not_an_image": "bytes that no allowed image format starts with, or that Pillow cannot open",
    "truncated_image": "the image data end too early",
    "corrupt_image": "the image data cannot be decoded",
    "too_many_pixels": "more pixels than the limit: a decompression bomb or a poster",
    "animated_image": "more than one frame",
    "decode_timeout": "decoding took longer than the limit",
    "decode_memory": "decoding needed more memory than the limit",
    "decode_crash": "the decoder died on these bytes",
    # select
    "exact_duplicate": "the same image bytes as an earlier pair; one of its look-alikes stays",
    "perceptual_duplicate": "looks like an earlier pair; one of its look-alikes stays",
    "worn_text": "its text stood on too many images before",
    "too_small": "the shorter side has too few pixels",
    "extreme_aspect": "too long and thin",
    "no_detail": "nearly one flat colour",
    "too_few_words": "hardly any text",
    "repetitive_text": "the text repeats itself",
    "file_name_text": "the text is a file name",
    "machine_text": "the text holds a web address, an e-mail address, HTML or a memory address",
    "other_language": "surely not in the language that the filter asks for",
    "by_request": "does not meet the predicate given with --where",
    # models
    "bad_request": "the server refused the request: the image or the text is not to its liking",
    "server_busy": "the server was too busy, time after time",
    "server_error": "the server failed, time after time",
    "unavailable": "no connection to the server, or one that broke, time after time",
    "timed_out": "no whole answer before the deadline",
    "left_out": "the batch came to its end without an answer to this request",
    "bad_reply": "the server's reply has not the form of an answer",
    "cut_answer": "the answer met the limit of tokens before its end",
    "filtered_answer": "the provider's content filter held the answer back",
    "refused": "the model refused to answer",
    "empty_answer": "the model said nothing",
    "not_json": "the answer holds no JSON object",
    "missing_field": "one of the four texts is missing or of a wrong type",
    "contradicting_tags": "a tag stands in both lists",
    "text_too_long": "a text of the answer is over the limit",
    "unsafe_text": "the answer holds control characters, markup or an address",
    "out_of_memory": "this row alone is more than the memory of the GPU holds",
    "model_error": "the model failed on this row",
}
"""Reason to what it means. A reason that is not here is a bug, never a new category by accident."""
