"""Hostile images get a typed verdict, and the checker lives on."""

import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lakehouse.errors import MissingPart
from tests.hostile_images import Case, cases, encoded, photo
from udfs.image_check import ImageChecker, Limits, Verdict
from udfs.reasons import REASONS

CASES = list(cases())
GOOD = encoded(photo(), "JPEG")
GOOD_VERDICT = Verdict("jpeg", 96, 64)


@pytest.fixture(scope="module")
def checker() -> Iterator[ImageChecker]:
    with ImageChecker() as checker:
        yield checker


@dataclass(frozen=True)
class Judged:
    """The verdicts on all cases by one checker, and its child's process id at each."""

    verdicts: Mapping[str, Verdict]
    pids: Sequence[int | None]


@pytest.fixture(scope="module")
def judged(checker: ImageChecker) -> Judged:
    checker.check(GOOD)
    found = [(case.name, checker.check(case.data), checker.child_pid) for case in CASES]
    return Judged({name: verdict for name, verdict, _ in found}, [pid for _, _, pid in found])


@pytest.fixture(scope="module")
def large() -> bytes:
    """Return an image of 36 million pixels that takes 140 MB."""
    return encoded(photo(60, 60).resize((6000, 6000), 0), "JPEG", progressive=True)


@pytest.fixture(scope="module")
def slow() -> bytes:
    """Return a progressive JPEG of 100 kB whose last scan comes 400 times: seconds of work for any decoder."""
    data = encoded(Image.new("RGB", (4000, 4000)), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + 400 * data[last:-2] + data[-2:]


def live_children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_hostile_image_gets_a_fitting_verdict(case: Case, judged: Judged) -> None:
    assert judged.verdicts[case.name].reason in case.reasons


def test_the_generator_makes_at_least_sixty_different_cases() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert len({case.data for case in CASES}) >= 60


def test_verdicts_do_not_depend_on_the_order_of_files(judged: Judged) -> None:
    with ImageChecker() as other:
        backwards = {case.name: other.check(case.data) for case in reversed(CASES)}
    assert backwards == judged.verdicts


def test_every_reason_is_on_the_closed_list(judged: Judged) -> None:
    assert {verdict.reason for verdict in judged.verdicts.values()} - {None} <= set(REASONS)


def test_hostile_images_do_not_cost_the_child_its_life(judged: Judged) -> None:
    assert len(set(judged.pids)) == 1


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["JPEG", "PNG", "WEBP", "GIF"]),
    place=st.integers(0, 10_000),
    noise=st.binary(min_size=1, max_size=24),
    cut=st.integers(0, 10_000),
)
def test_any_damage_ends_in_a_verdict(checker: ImageChecker, kind: str, place: int, noise: bytes, cut: int) -> None:
    data = encoded(photo(24, 16), kind)
    place %= len(data)
    damaged = (data[:place] + noise + data[place + len(noise) :])[: max(1, cut % (2 * len(data)))]
    verdict = checker.check(damaged)
    assert verdict.reason is None or verdict.reason in REASONS


def test_an_image_of_just_the_limit_of_pixels_is_good() -> None:
    image = encoded(photo(100, 50), "PNG")
    with ImageChecker(Limits(pixels=5000)) as exact, ImageChecker(Limits(pixels=4998)) as less:
        assert exact.check(image).reason is None
        assert less.check(image).reason == "too_many_pixels"


def test_an_image_that_takes_too_much_cpu_time_is_a_decode_timeout(slow: bytes) -> None:
    with ImageChecker(Limits(seconds=0.5)) as checker:
        assert checker.check(slow).reason == "decode_timeout"
        assert checker.check(GOOD) == GOOD_VERDICT


def test_an_image_that_takes_too_much_memory_is_a_decode_memory(large: bytes) -> None:
    with ImageChecker(Limits(memory_mb=64)) as checker:
        checker.check(GOOD)
        assert checker.check(large).reason == "decode_memory"
        assert checker.check(GOOD) == GOOD_VERDICT


def test_a_child_that_hangs_is_killed_in_time() -> None:
    with ImageChecker(Limits(seconds=0.5)) as checker:
        checker.check(GOOD)
        assert checker.child_pid is not None
        os.kill(checker.child_pid, signal.SIGSTOP)
        assert checker.check(GOOD).reason == "decode_timeout"
        assert checker.check(GOOD) == GOOD_VERDICT


def test_a_child_that_hangs_does_not_block_the_sending_of_a_large_file() -> None:
    with ImageChecker(Limits(seconds=0.5)) as checker:
        checker.check(GOOD)
        assert checker.child_pid is not None
        os.kill(checker.child_pid, signal.SIGSTOP)
        assert checker.check(GOOD + bytes(5_000_000)).reason == "decode_timeout"


def test_the_death_of_a_child_is_not_blamed_on_the_next_image() -> None:
    with ImageChecker() as checker:
        checker.check(GOOD)
        assert checker.child_pid is not None
        os.kill(checker.child_pid, signal.SIGSEGV)
        assert checker.check(GOOD) == GOOD_VERDICT


def test_a_decoder_that_dies_of_an_image_is_a_decode_crash(large: bytes) -> None:
    with ImageChecker() as checker, ThreadPoolExecutor(1) as killer:
        killer.submit(kill_as_soon_as_it_serves, checker)
        assert checker.check(large).reason == "decode_crash"
        assert checker.check(GOOD) == GOOD_VERDICT


def kill_as_soon_as_it_serves(checker: ImageChecker) -> None:
    while (pid := checker.child_pid) is None:
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)


def test_closing_a_checker_ends_its_child() -> None:
    before = len(live_children())
    with ImageChecker() as checker:
        checker.check(GOOD)
        assert len(live_children()) == before + 1
    assert len(live_children()) == before


def test_a_child_ends_when_its_parent_is_killed() -> None:
    code = (
        "import sys; from udfs.image_check import ImageChecker; checker = ImageChecker(); "
        "checker.check(b'\\xff\\xd8\\xff'); print(checker.child_pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    gone, alive = psutil.wait_procs([child], timeout=30)
    assert (len(gone), alive) == (1, [])


def test_files_stay_closed_after_many_restarts() -> None:
    with ImageChecker() as checker:
        checker.check(GOOD)
        before = psutil.Process().num_fds()
        for _ in range(5):
            assert checker.child_pid is not None
            os.kill(checker.child_pid, signal.SIGKILL)
            assert checker.check(GOOD) == GOOD_VERDICT
        assert psutil.Process().num_fds() == before


def test_the_child_sees_no_secret_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret-7")
    with ImageChecker() as checker:
        checker.check(GOOD)
        assert "secret-7" not in psutil.Process(checker.child_pid).environ().values()


def test_the_checker_works_from_a_zip_as_under_py_files(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w") as bundle:
        for path in [*root.glob("udfs/*.py"), *root.glob("lakehouse/*.py")]:
            bundle.write(path, path.relative_to(root))
    (tmp_path / "good.jpg").write_bytes(GOOD)
    code = (
        "import sys; sys.path.insert(0, 'bundle.zip'); import udfs.image_check as module; "
        "assert '.zip' in module.__file__; print(module.ImageChecker().check(open('good.jpg', 'rb').read()).width)"
    )
    run = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (run.stdout, run.returncode) == ("96\n", 0), run.stderr


def test_a_decoder_that_cannot_start_is_a_missing_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with ImageChecker() as checker, pytest.raises(MissingPart, match="expected Python with pillow"):
        checker.check(GOOD)
