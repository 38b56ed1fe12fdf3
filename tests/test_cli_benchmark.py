"""The command ``skeegformer benchmark``, run as a user runs it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from skeegformer.cli import main
from skeegformer.cli.benchmark import _begin, _pipeline_names
from skeegformer.datasets._files import data_root
from skeegformer.evaluation._subjects import INFORMATION
from skeegformer.evaluation.tasks import BENCHMARK_TASKS

QUICK = ["--pipelines", "CSP+LDA", "chance", "--jobs", "1"]


def test_recordings_are_scored_and_found_again(recorded_subjects, tmp_path, capsys):
    arguments = ["benchmark", "--task", "baseline-eyes", "--subjects", "1,56", *QUICK]
    arguments += ["--information", "strict", "calibrated", "--output", str(tmp_path / "out")]
    assert main(arguments) == 0
    shown = capsys.readouterr()
    assert "baseline-eyes: 120 epochs of 2 subjects" in shown.out
    assert "benchmark: 100%" in shown.err
    scores = pd.read_csv(tmp_path / "out" / "scores.csv")
    assert scores.groupby("information", sort=False).size().to_dict() == {
        "strict": 4,
        "calibrated": 4,
    }
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
    # Another setting needs another folder.
    assert main([*arguments, "--seeds", "0-2"]) == 2
    assert "results of another benchmark (--seeds; see settings.json)" in capsys.readouterr().err


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
    _begin(tmp_path, settings)
    assert json.loads((tmp_path / "settings.json").read_text()) == settings
    (tmp_path / "fits.jsonl").touch()
    _begin(tmp_path, settings)
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(ValueError, match="has results of another benchmark"):
        _begin(tmp_path, settings)


def test_help_tells_everything(capsys):
    from skeegformer.baselines import BENCHMARK_PIPELINES

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


def test_other_commands_do_not_import_the_pipelines():
    code = (
        "import sys; from skeegformer.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print({'torch', 'mne', 'moabb', 'sklearn'} & set(sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert run.stdout.splitlines()[-1] == "set()"
