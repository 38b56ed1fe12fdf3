"""Shared fixtures: simulated epochs for everything, real recordings where there are some."""

import os
import sys
from pathlib import Path

import matplotlib
import pytest

# scikit-learn skips its check of the array API without this; SciPy reads it on import.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
if "PYTEST_XDIST_WORKER" in os.environ:  # as many threads again would fight for the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")
matplotlib.use("Agg")
os.environ.setdefault("MNE_LOGGING_LEVEL", "ERROR")

RECORDED_SUBJECTS = (1, 2, 3, 4, 5, 6, 7, 8, 56, 58, 60, 62)


@pytest.fixture(scope="session")
def simulated():
    """Epochs of four simulated subjects: X, y, metadata, truth."""
    from skeegformer import make_simulated_eeg

    return make_simulated_eeg(n_subjects=4, n_epochs=30, random_state=0)


@pytest.fixture(scope="session")
def recorded_subjects():
    """Subjects of EEGMMI whose recordings lie where MNE_DATA points."""
    from skeegformer.datasets._files import recording_path

    folder = Path(os.environ.get("MNE_DATA", Path.home() / "mne_data"))
    runs = [(subject, run) for subject in RECORDED_SUBJECTS for run in (1, 2, 4, 6, 8, 10, 12, 14)]
    runs += [(1, run) for run in (3, 5, 7, 9, 11, 13)]  # movements, of the first alone
    if not all(recording_path(folder, *one).is_file() for one in runs):
        pytest.skip(
            f"needs EEGMMI recordings of subjects {', '.join(map(str, RECORDED_SUBJECTS))} where "
            "MNE_DATA points"
        )
    return list(RECORDED_SUBJECTS)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture
def refused(capsys):
    """Run a command that has to be refused, without a traceback, and return what it says."""
    from skeegformer.cli import main

    def run(*words):
        try:
            code = main([str(word) for word in words])
        except SystemExit as stopped:
            code = stopped.code
        shown = capsys.readouterr().err
        assert code == 2
        assert "Traceback" not in shown
        return shown

    return run


@pytest.fixture
def report(record_property):
    """Take lines that are printed at the end of the test run."""
    return lambda line: record_property("measured", line)


def pytest_terminal_summary(terminalreporter):
    """Print what tests reported, in whichever process they ran."""
    lines = [
        line
        for result in terminalreporter.stats.get("passed", [])
        for name, line in result.user_properties
        if name == "measured"
    ]
    if lines:
        terminalreporter.section("measured")
        for line in lines:
            terminalreporter.write_line(line)
