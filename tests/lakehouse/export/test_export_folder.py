"""A folder of an export holds that export alone, and files in it are whole."""

from pathlib import Path

import pytest

from lakehouse.errors import BadInput
from lakehouse.export.folder import WRITTEN, Folder, Written, open_folder


def test_a_file_that_broke_off_has_no_name(tmp_path: Path) -> None:
    folder = open_folder(tmp_path / "out", {"release": "a"})
    with pytest.raises(TypeError), folder.whole("00000.tar") as out:
        out.writelines([b"half", None])  # type: ignore[list-item] # what cannot be written
    assert not (folder.path / "00000.tar").exists()
    assert folder.written() == {}


def test_what_a_kill_left_behind_is_cleared_away(tmp_path: Path) -> None:
    folder = open_folder(tmp_path / "out", {"release": "a"})
    (folder.path / ".00000.tar.part").write_bytes(b"half")
    open_folder(folder.path, {"release": "a"})
    assert not (folder.path / ".00000.tar.part").exists()


def test_a_line_that_was_cut_off_records_nothing(tmp_path: Path) -> None:
    folder, whole = Folder(tmp_path), Written("00000.tar", 3, {"no_text": 1})
    (tmp_path / "00000.tar").touch()
    folder.record(whole)
    with (tmp_path / WRITTEN).open("a") as out:
        out.write('{"file": "00001.tar", "ro')
    assert folder.written() == {"00000.tar": whole}


def test_a_file_that_somebody_removed_is_not_written(tmp_path: Path) -> None:
    Folder(tmp_path).record(Written("00000.tar", 3, {}))
    assert Folder(tmp_path).written() == {}


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(BadInput, match=r"is not empty and holds no export, but 'thesis.tex': choose another --out"):
        open_folder(tmp_path, {"release": "a"})


def test_a_folder_of_another_export_is_refused(tmp_path: Path) -> None:
    open_folder(tmp_path, {"release": "a", "split": "train"})
    with pytest.raises(BadInput, match="holds an export with release='a', not 'b': choose another --out, or remove it"):
        open_folder(tmp_path, {"release": "b", "split": "train"})


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(BadInput, match=r"cannot use .*: File exists"):
        open_folder(tmp_path / "out", {})
