"""``skeegformer download``, run as a user runs it."""

import re

import numpy as np

from skeegformer import load_eegmmi, load_memmap
from skeegformer.cli import main


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


def test_options_and_what_is_there_already(recorded_subjects, tmp_path, capsys):
    arguments = ["download", "--task", "fist-imagination", "--subjects", "1", "--window", "1"]
    arguments += ["--resample", "80", "--zscore", "--name", "mine", "--output", str(tmp_path)]
    assert main(arguments) == 0
    path = tmp_path / "raw-nsamp_45-eplen_80-norm-mine.dat"
    assert str(path) in capsys.readouterr().out
    first = path.stat().st_mtime_ns
    X, _, _ = load_memmap(path)
    np.testing.assert_allclose(X.load().std(axis=2), 1, rtol=1e-4)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "is there already" in error
    assert "pass --overwrite to replace it, or another name" in error
    assert path.stat().st_mtime_ns == first
    assert main([*arguments, "--overwrite"]) == 0
    assert path.stat().st_mtime_ns > first
