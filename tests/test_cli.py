"""The command line, run as a user runs it."""

import re
import subprocess
import sys

import matplotlib.image
import pandas as pd
import pytest

from skeegformer.cli import main


def _run(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "skeegformer", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def test_demo_on_simulated_data(tmp_path):
    run = _run("demo", "--subjects", "1-4", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    for name in ("chance", "CSP+LDA", "EEGTransformer"):
        assert re.search(rf"^{re.escape(name)} +0\.\d{{3}}", run.stdout, re.MULTILINE)
    assert "cross-validation: 100%" in run.stderr
    assert "explanation: 100%" in run.stderr  # of people who were left out
    assert re.search(r"Highest mean attention: \w+, .* is not tested here", run.stdout)
    folder = tmp_path / "skeegformer-demo"
    assert sorted(path.name for path in folder.iterdir()) == ["scores.csv", "topomap.png"]
    scores = pd.read_csv(folder / "scores.csv")
    assert scores.groupby("pipeline").size().to_dict() == {
        "CSP+LDA": 4,
        "EEGTransformer": 4,
        "chance": 4,
    }
    means = scores.groupby("pipeline")["balanced_accuracy"].mean()
    assert means["chance"] == 0.5
    assert means["CSP+LDA"] > 0.6
    assert matplotlib.image.imread(folder / "topomap.png").shape[0] > 300


def test_demo_on_recordings(recorded_subjects, tmp_path, capsys):
    output = tmp_path / "eyes"
    arguments = ["demo", "--dataset", "eegmmi", "--subjects", "1-4"]
    assert main([*arguments, "--output", str(output)]) == 0
    assert "eegmmi: 240 epochs of 4 subjects" in capsys.readouterr().out
    assert (output / "topomap.png").exists()


def test_nothing_is_overwritten_unasked(tmp_path, capsys):
    (tmp_path / "scores.csv").write_text("mine")
    assert main(["demo", "--output", str(tmp_path)]) == 2
    assert "scores.csv or topomap.png already; name another folder" in capsys.readouterr().err
    assert (tmp_path / "scores.csv").read_text() == "mine"


WRONG = [
    ("demo --output file", "file is a file; name a folder"),
    ("demo --subjects 1-3", "--subjects names 3, and the demo needs at least 4"),
    ("demo --dataset eegmmi", "nowhere"),
    ("", "required: COMMAND"),
    ("download --task sleep", "Unknown task 'sleep'; the tasks are baseline-eyes"),
    ("download --subjects 1", "nowhere"),
    ("benchmark --pipelines magic", "--pipelines 'magic' is unknown; there are 'chance', "),
    ("benchmark --protocol 1-fold", "--protocol 1-fold is unknown"),
    ("benchmark --protocol 9-fold --subjects 1-3", "as many subjects as folds, but there are 3"),
    ("benchmark --subjects 5-3", "'5-3' is not a list such as 1-8"),
    ("benchmark --task baseline-eyes", "no recordings of baseline-eyes on this machine"),
    ("benchmark --jobs 0", "--jobs: 0 does no work"),
]


@pytest.mark.parametrize("words, message", WRONG)
def test_wrong_input_is_a_sentence(words, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    where = tmp_path if "no recordings" in message else tmp_path / "nowhere"
    monkeypatch.setenv("MNE_DATA", str(where))
    monkeypatch.delenv("MNE_DATASETS_EEGBCI_PATH", raising=False)
    (tmp_path / "file").write_text("mine")
    try:
        code = main(words.split())
    except SystemExit as stopped:
        code = stopped.code
    assert code == 2
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert "skeegformer" in error
    assert "Traceback" not in error
    assert (tmp_path / "file").read_text() == "mine"
    assert not list(tmp_path.rglob("*.dat"))
