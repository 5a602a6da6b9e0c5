"""What the hashes promise."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.stream.hashing import fractions, mixed, salted, sample_keys, shuffled
from tests.lakehouse.stream.lakes import sample_id


def test_the_hash_is_splitmix64() -> None:
    # The first numbers that Vigna's reference generator gives for seed 0.
    steps = np.arange(3, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    assert [hex(value) for value in mixed(steps)] == ["0xe220a8397b1dcdaf", "0x6e789e6aa1b965f4", "0x6c45d188009454f"]


@given(st.integers(0, 500), st.integers(), st.integers())
def test_shuffling_keeps_every_number_once(count: int, seed: int, epoch: int) -> None:
    assert sorted(shuffled(count, seed, epoch)) == list(range(count))


def test_shuffling_depends_on_every_salt() -> None:
    orders = {tuple(shuffled(50, *salts)) for salts in [(0, 0), (0, 1), (1, 0), (1, 1)]}
    assert len(orders) == 4


def test_fractions_lie_evenly_below_one() -> None:
    found = fractions(salted(np.arange(20_000, dtype=np.uint64), 3))
    assert found.min() >= 0
    assert found.max() < 1
    assert abs(found.mean() - 0.5) < 0.01


def test_a_key_is_the_first_digits_of_the_id() -> None:
    ids = [sample_id(number) for number in range(5)]
    assert sample_keys(pa.array(ids)).tolist() == [int(text[:16], 16) for text in ids]


def test_a_slice_of_ids_has_the_keys_of_its_rows() -> None:
    ids = pa.array([sample_id(number) for number in range(5)])
    assert sample_keys(ids.slice(2, 2)).tolist() == sample_keys(ids)[2:4].tolist()


def test_ids_that_are_no_hashes_get_keys_of_their_own() -> None:
    assert len(set(sample_keys(pa.array(["a", "b", "Z" * 64])).tolist())) == 3
