"""Scripts in ``benchmarks`` follow the package: they are run by hand, long after it has changed."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from skeegformer import EEGTransformerClassifier, make_simulated_eeg

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


@pytest.mark.parametrize("mirror", [None, "auto"])
def test_cost_counts_every_epoch_seen(mirror):
    cost = importlib.import_module("cost")
    X, y, metadata, _ = make_simulated_eeg(n_subjects=2, n_epochs=18, random_state=0)
    y = np.where(y == y[0], "left-fist-imag", "right-fist-imag")
    classifier = EEGTransformerClassifier(max_epochs=2, mirror=mirror, random_state=0)
    groups = metadata["subject"].to_numpy()
    row = cost.measure(classifier, (X, y, groups), X[:5])
    assert (row["n_seen"], row["n_passes"], row["n_predicted"]) == (2 * 36, 2, 5)


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
