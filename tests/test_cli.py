"""The command line, run as a user runs it: demo, download and benchmark."""

import json
import re
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from skeegformer import load_eegmmi, load_memmap
from skeegformer.baselines import BENCHMARK_PIPELINES
from skeegformer.cli import main
from skeegformer.cli.benchmark import _begin, _pipeline_names
from skeegformer.datasets._files import data_root
from skeegformer.evaluation._subjects import INFORMATION
from skeegformer.evaluation.tasks import BENCHMARK_TASKS

QUICK = ["--pipelines", "CSP+LDA", "chance", "--jobs", "1"]


def test_demo_on_simulated_data(tmp_path):
    command = [sys.executable, "-m", "skeegformer", "demo", "--subjects", "1-4"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    for name in ("chance", "CSP+LDA", "EEGTransformer"):
        assert re.search(rf"^{re.escape(name)} +0\.\d{{3}}", run.stdout, re.MULTILINE)
    assert "cross-validation: 100%" in run.stderr
    assert "explanation: 100%" in run.stderr  # of people who were left out
    assert re.search(r"Highest mean attention: \w+, .* is not tested here", run.stdout)
    folder = tmp_path / "skeegformer-demo"
    assert sorted(path.name for path in folder.iterdir()) == ["scores.csv", "topomap.png"]
    scores = pd.read_csv(folder / "scores.csv")
    means = scores.groupby("pipeline")["balanced_accuracy"].mean()
    assert scores["pipeline"].value_counts().to_dict() == dict.fromkeys(means.index, 4)
    assert means["chance"] == 0.5
    assert means["CSP+LDA"] > 0.6
    assert matplotlib.image.imread(folder / "topomap.png").shape[0] > 300


def test_demo_on_recordings(recorded_subjects, tmp_path, capsys):
    output = tmp_path / "eyes"
    arguments = ["demo", "--dataset", "eegmmi", "--subjects", "1-4"]
    assert main([*arguments, "--output", str(output)]) == 0
    assert "eegmmi: 240 epochs of 4 subjects" in capsys.readouterr().out
    assert (output / "topomap.png").exists()


def test_nothing_is_overwritten_unasked(tmp_path, refused):
    (tmp_path / "scores.csv").write_text("mine")
    message = "scores.csv or topomap.png already; name another folder"
    assert message in refused("demo", "--output", tmp_path)
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
def test_wrong_input_is_a_sentence(words, message, tmp_path, refused, monkeypatch):
    monkeypatch.chdir(tmp_path)
    where = tmp_path if "no recordings" in message else tmp_path / "nowhere"
    monkeypatch.setenv("MNE_DATA", str(where))
    monkeypatch.delenv("MNE_DATASETS_EEGBCI_PATH", raising=False)
    (tmp_path / "file").write_text("mine")
    error = refused(*words.split())
    assert re.search(message, error)
    assert "skeegformer" in error
    assert (tmp_path / "file").read_text() == "mine"
    assert not list(tmp_path.rglob("*.dat"))


def test_recordings_become_files(recorded_subjects, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["download", "--task", "baseline-eyes", "--subjects", "1,2", "--h-freq", "40"]
    assert main([*command, "--output", "data"]) == 0
    run = capsys.readouterr()
    name = "nsamp_120-eplen_320-baseline-eyes"
    assert "120 epochs of 2 subjects, 64 channels x 320 samples at 160 Hz (2 s)" in run.out
    assert "in volts, 9.8 MB" in run.out
    assert "baseline-eyes: 60 eyes-open, 60 eyes-closed" in run.out
    assert "export: 100%" in run.err
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [
        f"head-{name}.json",
        f"label-{name}.csv",
        f"raw-{name}.dat",
    ]
    (shown,) = re.findall(r'load_memmap\("(.*)"\)', run.out)
    X, y, _ = load_memmap(tmp_path / shown)
    epochs, labels, _ = load_eegmmi("baseline-eyes", [1, 2], h_freq=40)
    np.testing.assert_allclose(X.load(), epochs.get_data(units="uV"), rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(y, labels)


def test_options_and_what_is_there_already(recorded_subjects, tmp_path, capsys, refused):
    arguments = ["download", "--task", "fist-imagination", "--subjects", "1", "--window", "1"]
    arguments += ["--resample", "80", "--zscore", "--name", "mine", "--output", str(tmp_path)]
    assert main(arguments) == 0
    path = tmp_path / "raw-nsamp_45-eplen_80-norm-mine.dat"
    assert str(path) in capsys.readouterr().out
    first = path.stat().st_mtime_ns
    X, _, _ = load_memmap(path)
    np.testing.assert_allclose(X.load().std(axis=2), 1, rtol=1e-4)
    error = refused(*arguments)
    assert "is there already" in error
    assert "pass --overwrite to replace it, or another name" in error
    assert path.stat().st_mtime_ns == first
    assert main([*arguments, "--overwrite"]) == 0
    assert path.stat().st_mtime_ns > first


def test_recordings_are_scored_and_found_again(recorded_subjects, tmp_path, capsys):
    arguments = ["benchmark", "--task", "baseline-eyes", "--subjects", "1,56", *QUICK]
    arguments += ["--information", "strict", "calibrated", "--output", str(tmp_path / "out")]
    assert main(arguments) == 0
    shown = capsys.readouterr()
    assert "baseline-eyes: 120 epochs of 2 subjects" in shown.out
    assert "benchmark: 100%" in shown.err
    scores = pd.read_csv(tmp_path / "out" / "scores.csv")
    assert scores["information"].value_counts().to_dict() == {"strict": 4, "calibrated": 4}
    assert sorted(scores["subject"].unique()) == [1, 56]
    for kind in ("strict", "calibrated"):
        assert f"baseline-eyes, leave-one-subject-out, {kind}" in shown.out
        values = scores[(scores["information"] == kind) & (scores["pipeline"] == "CSP+LDA")]
        mean, best = values["balanced_accuracy"].mean(), values["balanced_accuracy"].max()
        assert re.search(rf"CSP\+LDA +{mean:.3f}.* {best:.2f} ", shown.out)
    table = (tmp_path / "out" / "table.md").read_text()
    assert "| CSP+LDA" in table
    # Again: every fit is found, and the table is the same.
    assert main(arguments) == 0
    again = capsys.readouterr()
    assert "8/8" in again.err
    assert "0/8" not in again.err
    assert again.out == shown.out
    assert (tmp_path / "out" / "table.md").read_text() == table


def test_those_who_are_there_are_taken_and_named(recorded_subjects, tmp_path, capsys, monkeypatch):
    """By default it takes those who are on this machine."""
    layout = Path("MNE-eegbci-data", "files", "eegmmidb", "1.0.0")
    there, here = data_root() / layout, tmp_path / "data" / layout
    here.mkdir(parents=True)
    for name in ("S002", "S004"):
        (here / name).symlink_to(there / name)
    monkeypatch.setenv("MNE_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("MNE_DATASETS_EEGBCI_PATH", raising=False)
    arguments = ["--task", "baseline-eyes", "--pipelines", "chance", "--jobs", "1"]
    assert main(["benchmark", *arguments, "--output", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "baseline-eyes: 120 epochs of 2 subjects" in out
    for text in (out, (tmp_path / "out" / "table.md").read_text()):
        assert "over 2 subjects (S2, S4)" in text


def test_failures_are_named_in_the_table(recorded_subjects, tmp_path, capsys):
    """What has no scores at all stays in sight."""
    arguments = ["--task", "baseline-eyes", "--subjects", "1,2", "--pipelines", "chance"]
    arguments += ["--information", "strict", "calibrated", "--calibration-epochs", "30"]
    arguments += ["--jobs", "1"]
    with pytest.warns(UserWarning, match="2 fits or subjects failed, 2 of 2 fits are finished"):
        assert main(["benchmark", *arguments, "--output", str(tmp_path)]) == 1
    table = (tmp_path / "table.md").read_text()
    assert "| chance" in table
    line = "- baseline-eyes, calibrated, chance, seed 0, fold 1, subject 2: Subject 2 has 30"
    assert "Not in the table, since these fits failed:\n\n- baseline-eyes" in table
    assert line in table


def test_networks_of_braindecode_where_it_is_not_installed(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "braindecode", None)
    chosen = _pipeline_names(None)
    assert {"chance", "CSP+LDA", "skeegformer"} < set(chosen)
    assert not {"EEGNet", "EEGNet mirrored"} & set(chosen)
    assert "pip install 'skeegformer[braindecode]' for ShallowFBCSPNet" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"no usable braindecode: .*\[braindecode\]' for EEGNet"):
        _pipeline_names(["CSP+LDA", "EEGNet"])


def test_folders_that_are_not_ours(tmp_path):
    settings = {"--task": ["baseline-eyes"]}
    (tmp_path / "scores.csv").write_text("mine")
    with pytest.raises(ValueError, match=r"has results of another benchmark \(--task; see"):
        _begin(tmp_path, settings)
    assert (tmp_path / "scores.csv").read_text() == "mine"
    (tmp_path / "scores.csv").rename(tmp_path / "other.csv")
    _begin(tmp_path, {"--task": ["fist-imagination"]})  # nothing is finished that it could spoil
    for _ in range(2):
        _begin(tmp_path, settings)
        (tmp_path / "fits.jsonl").touch()
    assert json.loads((tmp_path / "settings.json").read_text()) == settings


def test_help_tells_everything(capsys):
    for words, text in (
        ("--version", "skeegformer 0"),
        ("demo --help", "--dataset"),
        ("download --help", "skeegformer download --task baseline-eyes --subjects 1-10"),
        ("benchmark --help", "leave-one-subject-out"),
    ):
        with pytest.raises(SystemExit) as exit_:
            main(words.split())
        assert exit_.value.code == 0
        out = capsys.readouterr().out
        assert text in out
    for word in (*BENCHMARK_TASKS, "all", *INFORMATION, "fixed-split", "4-fold"):
        assert word in out
    assert max(map(len, out.split("examples:")[1].splitlines())) <= 100
    assert main(["benchmark", "--pipelines", "list"]) == 0
    assert capsys.readouterr().out.splitlines() == list(BENCHMARK_PIPELINES)
