"""Scripts in ``benchmarks`` follow the package: they are run by hand, long after it has changed."""

import importlib
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py"))


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    yield
    for name in SCRIPTS:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_a_script_imports_is_there(name):
    assert importlib.import_module(name).__doc__


@pytest.mark.parametrize("mark, end", [("<!-- {} -->\n", ""), (".. {}\n\n", "\n")])
def test_tables_replace_what_is_between_their_markers(tmp_path, mark, end):
    write = importlib.import_module("markers").write_between_markers
    path = tmp_path / ("page.rst" if end else "page.md")
    first, last = mark.format("a"), mark.format("/a")
    path.write_text(f"ü\n{first}old\n{end}{last}rest\n")
    for _ in range(2):
        write(path, "a", "| new |\n")
        assert path.read_text() == f"ü\n{first}| new |\n{end}{last}rest\n"
    with pytest.raises(SystemExit, match="has to have"):
        write(path, "b", "text")
