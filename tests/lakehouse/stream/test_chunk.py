"""What is made of a row group."""

import numpy as np
import pyarrow as pa
import pytest

from lakehouse.stream import Mix
from lakehouse.stream.augment import CenterCrop, View
from lakehouse.stream.choice import as_texts, is_text
from lakehouse.stream.chunk import Chunk, Recipe, make_chunk
from lakehouse.stream.order import Segment
from tests.lakehouse.stream.lakes import jpeg, sample_id, training_rows


def chunk_of(table: pa.Table, rows: list[int], **recipe: object) -> Chunk:
    given = {"mix": Mix(alt_text=1), "negatives": Mix(), "seed": 0, "epoch": 0, **recipe}
    segment = Segment(0, 0, 0, 0, len(rows), 0)
    return make_chunk(table, np.array(rows), segment, Recipe(**given), file="f", row_group=0)  # type: ignore[arg-type]


@pytest.mark.parametrize("rows", [[0], [3, 1, 2], list(range(20))])
def test_rows_come_whole_in_the_order_asked_for(rows: list[int]) -> None:
    chunk = chunk_of(training_rows(20), rows)
    assert chunk.sample_ids == [sample_id(row) for row in rows]
    assert [image.tobytes() for image in chunk.images] == [jpeg(row) for row in rows]
    assert chunk.texts.text == [f"alt {row}" for row in rows]
    assert [tags.tolist() for tags in chunk.tag_ids] == [sorted({row % 7, row % 5}) for row in rows]


def test_a_slice_or_pieces_of_a_table_give_the_same_rows() -> None:
    table = training_rows(20)
    pieces = pa.concat_tables([table.slice(0, 7), table.slice(7)])
    for part, rows in ((pieces, [6, 7, 19]), (table.slice(5), [1, 2, 14])):
        offset = 5 if part.num_rows == 15 else 0
        assert [image.tobytes() for image in chunk_of(part, rows).images] == [jpeg(row + offset) for row in rows]
        assert chunk_of(part, rows).sample_ids == [sample_id(row + offset) for row in rows]


def test_tags_are_joined_as_a_text() -> None:
    assert chunk_of(training_rows(3), [2], mix=Mix(short_positive=1)).texts.text == ["kite 2, beach"]


def test_a_text_that_a_row_lacks_is_never_chosen() -> None:
    table = training_rows(3).set_column(3, "alt_text", pa.array(["", None, " \n"]))
    chunk = chunk_of(table, [0, 1, 2], mix=Mix(alt_text=0.99, long_positive=0.01))
    assert chunk.texts.text == ["long 0", "long 1", "long 2"]


def test_a_row_without_any_text_of_the_mix_has_none() -> None:
    chunk = chunk_of(training_rows(2), [0, 1], mix=Mix(web_tags=1), negatives=Mix(web_tags=1))
    assert (chunk.texts.text, chunk.texts.column) == ([None, None], [-1, -1])
    assert chunk.negatives.text == [None, None]


def test_the_choice_belongs_to_the_row_and_not_to_its_place() -> None:
    mix = Mix(alt_text=1, long_positive=1)
    one, other = chunk_of(training_rows(20), list(range(20)), mix=mix), chunk_of(training_rows(20), [7, 3], mix=mix)
    assert other.texts.text == [one.texts.text[7], one.texts.text[3]]
    assert other.views == [one.views[7], one.views[3]]


def test_the_choice_changes_with_the_epoch() -> None:
    mix = Mix(alt_text=1, long_positive=1)
    texts = {tuple(chunk_of(training_rows(20), list(range(20)), mix=mix, epoch=n).texts.text) for n in range(4)}
    assert len(texts) == 4


def test_the_choices_of_a_release_are_what_they_always_were() -> None:
    # Pinned: other choices here silently change what every release that was ever made trains on.
    mixes = {"mix": Mix(alt_text=1, long_positive=1), "negatives": Mix(long_negative=1, short_negative=1)}
    chunk = chunk_of(training_rows(12), list(range(12)), **mixes, seed=7, epoch=2)
    assert chunk.texts.column == [1, 1, 1, 1, 0, 0, 0, 0, 1, 0, 1, 1]
    assert chunk.negatives.column == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0]
    assert [round(view.down, 8) for view in chunk.views[:3]] == [0.06708986, 0.10258934, 0.552031]
    assert [round(view.right, 8) for view in chunk.views[:3]] == [0.97664113, 0.1055926, 0.48407511]


def test_a_crop_in_the_middle_is_in_the_middle() -> None:
    assert chunk_of(training_rows(2), [0, 1], crop=CenterCrop()).views == [View(0.5, 0.5)] * 2


def test_a_missing_tag_is_left_out_of_the_text() -> None:
    tags = pa.array([["a", None, "b"], None, []], pa.list_(pa.string()))
    assert as_texts(tags).to_pylist() == ["a, b", None, ""]


def test_texts_are_strings_or_lists_of_strings() -> None:
    assert all(map(is_text, [pa.string(), pa.large_string(), pa.list_(pa.string()), pa.large_list(pa.string())]))
    assert not any(map(is_text, [pa.binary(), pa.int32(), pa.list_(pa.int32())]))
