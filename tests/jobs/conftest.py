"""What the tests of jobs share: names of ``tests.world``; its fixture ``world`` is every test's."""

from tests.world import GOOD, World, run_path

__all__ = ["GOOD", "World", "run_path"]
