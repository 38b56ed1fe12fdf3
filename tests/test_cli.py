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
    run = _run("demo", "--subjects", "1-4", "--folds", "2", cwd=tmp_path)
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
    arguments = ["demo", "--dataset", "eegmmi", "--subjects", "1,2", "--folds", "2"]
    assert main([*arguments, "--output", str(output)]) == 0
    assert "EEGMMI baseline-eyes: 120 epochs of 2 subjects" in capsys.readouterr().out
    assert (output / "topomap.png").exists()


def test_nothing_is_overwritten_unasked(tmp_path, capsys):
    (tmp_path / "scores.csv").write_text("mine")
    assert main(["demo", "--output", str(tmp_path)]) == 2
    assert "scores.csv or topomap.png already; pass --overwrite" in capsys.readouterr().err
    assert (tmp_path / "scores.csv").read_text() == "mine"


def test_output_that_is_a_file(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert main(["demo", "--output", str(tmp_path / "file")]) == 2
    assert "file is a file; name a folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--subjects", "1-3"], "--folds 4 needs .* as many subjects; --subjects names 3"),
        (["--jobs", "0"], "--jobs 0 does no work"),
        (["--task", "fist-imagination"], "belongs to --dataset eegmmi"),
        (["--folds", "1"], "--folds 1 needs at least 2 folds"),
        (["--dataset", "eegmmi", "--subjects", "1-4,200"], "Subject 200 does not exist"),
    ],
)
def test_bad_values(arguments, message, tmp_path, capsys):
    assert main(["demo", *arguments, "--output", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert error.startswith("skeegformer: error: ")
    assert "Traceback" not in error


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["demo", "--subjects", "a-b"], "'a-b' is not a list such as 1-8"),
        (["demo", "--task", "sleep"], "invalid choice: 'sleep'"),
        ([], "required: COMMAND"),
    ],
)
def test_bad_usage(arguments, message, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


def test_recordings_that_are_not_there(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MNE_DATA", str(tmp_path / "nowhere"))
    monkeypatch.delenv("MNE_DATASETS_EEGBCI_PATH", raising=False)
    assert main(["demo", "--dataset", "eegmmi", "--output", str(tmp_path / "out")]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_help_and_version(capsys):
    for arguments, text in ((["--help"], "demo"), (["demo", "--help"], "--dataset")):
        with pytest.raises(SystemExit) as exit_:
            main(arguments)
        assert exit_.value.code == 0
        assert text in capsys.readouterr().out
