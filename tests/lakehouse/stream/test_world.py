"""What the world promises."""

import pytest

from lakehouse.errors import StreamError
from lakehouse.stream import World


def test_a_process_without_a_launcher_is_alone() -> None:
    assert World.detect({}) == World(0, 1)


def test_torchrun_is_detected() -> None:
    assert World.detect({"RANK": "3", "WORLD_SIZE": "8"}) == World(3, 8)


def test_a_process_of_srun_is_detected() -> None:
    assert World.detect({"SLURM_PROCID": "2", "SLURM_STEP_NUM_TASKS": "4"}) == World(2, 4)


def test_a_batch_script_of_slurm_is_one_process() -> None:
    assert World.detect({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}) == World(0, 1)


def test_torchrun_under_slurm_counts_as_torchrun() -> None:
    slurm = {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "2"}
    assert World.detect({**slurm, "RANK": "5", "WORLD_SIZE": "16"}) == World(5, 16)


def test_a_rank_outside_the_world_is_refused() -> None:
    with pytest.raises(StreamError, match=r"rank 4 of size 4"):
        World(4, 4)


def test_a_rank_that_is_no_number_is_refused() -> None:
    with pytest.raises(StreamError, match=r"bad RANK from torchrun: 'x'"):
        World.detect({"RANK": "x", "WORLD_SIZE": "2"})
