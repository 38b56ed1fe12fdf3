"""Files that are written as a whole or not at all."""

import pytest

from skeegformer._utils.files import check_output_file, replacing, writing


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("mine")
    for write in (replacing, writing):
        with pytest.raises(OSError, match=r"scores\.csv could not be written: disk full\."):
            with write(path) as file:
                if write is replacing:
                    file.write_text("half")
                raise OSError("disk full")
    assert path.read_text() == "mine"
    with writing(path) as file:
        file.write(b"whole")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_paths_that_are_refused_beforehand(tmp_path):
    path = tmp_path / "page.html"
    assert check_output_file(str(path), (".html", ".htm")) == path
    path.touch()
    assert check_output_file(path, (".html",), overwrite=True) == path
    (tmp_path / "folder.html").mkdir()
    for name, kind, message in (
        ("page", ValueError, r"page does not end in \.html or \.htm: call it page\.html"),
        ("none/page.html", FileNotFoundError, r"no folder .*none to save page\.html in"),
        ("page.html", FileExistsError, "exists already: pass overwrite=True"),
        ("folder.html", IsADirectoryError, "is a folder"),
    ):
        with pytest.raises(kind, match=message):
            check_output_file(tmp_path / name, (".html", ".htm"))
