"""Files that are written as a whole or not at all."""

import os
import resource
from pathlib import Path

import pytest

from skeegformer._utils.files import check_output_file, replacing, writing


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("mine")
    with pytest.raises(OSError, match="^disk full$"), replacing(path) as partial:
        partial.write_text("half")
        raise OSError("disk full")
    with pytest.raises(OSError, match=r"scores\.csv could not be written: disk full\."):
        with writing(path) as file:
            file.write(b"half")
            raise OSError("disk full")
    assert path.read_text() == "mine"
    with writing(path) as file:
        file.write(b"whole")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="needs limits of file size")
def test_a_full_disk_leaves_the_old_file(tmp_path):
    """Files may not grow beyond a limit, which is what a disk without room does to them."""
    path = tmp_path / "model.bin"
    path.write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"could not be written: File too large. Nothing was"):
            with writing(path) as file:
                file.write(bytes(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_read_only(tmp_path):
    tmp_path.chmod(0o500)
    # Root may write there, but not where the kernel reports.
    folder = Path("/proc/self") if os.access(tmp_path, os.W_OK) else tmp_path
    with pytest.raises(OSError, match=r"a\.bin could not be written: .* Nothing was changed"):
        with writing(folder / "a.bin") as file:
            file.write(b"a")


def test_paths_that_are_refused_beforehand(tmp_path):
    path = tmp_path / "page.html"
    assert check_output_file(str(path), (".html", ".htm")) == path
    with pytest.raises(ValueError, match=r"page does not end in \.html or \.htm: call it page\.ht"):
        check_output_file(tmp_path / "page", (".html", ".htm"))
    with pytest.raises(FileNotFoundError, match=r"no folder .*none to save page\.html in"):
        check_output_file(tmp_path / "none" / "page.html", (".html",))
    path.touch()
    with pytest.raises(FileExistsError, match="exists already: pass overwrite=True"):
        check_output_file(path, (".html",))
    assert check_output_file(path, (".html",), overwrite=True) == path
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder"):
        check_output_file(tmp_path / "folder.html", (".html",), overwrite=True)
