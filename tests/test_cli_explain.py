"""The command ``skeegformer explain``, on runs that ``skeegformer train`` has made."""

import numpy as np
import pandas as pd
import pytest

from skeegformer import (
    AttentionExplainer,
    Explanation,
    load_memmap,
    load_model,
    make_simulated_eeg,
    write_memmap,
)
from skeegformer.cli import main

QUICK = ["--n-heads", "4", "--max-epochs", "2", "--quiet", "--validation-fraction", "0.3"]
ORIGINAL = ["--preset", "eeg-transformer", "--embed-dim", "8", "--n-layers", "2"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs on an export with electrode positions, and one of the original's network."""
    folder = tmp_path_factory.mktemp("explain")
    X, y, metadata, _ = make_simulated_eeg(4, 10, random_state=0)
    X = X.pick(["F3", "F4", "C3", "Cz", "C4", "P3", "P4", "Oz"])
    path = write_memmap(X, y, metadata, folder, "simulated")
    for name, options in (
        ("run-0", ["--seed", "0", "--mirror", "none"]),
        ("run-1", ["--seed", "1"]),
        ("original", ORIGINAL),
    ):
        arguments = ["train", "--data", str(path), *QUICK, "--drop", "Cz", *options]
        assert main([*arguments, "--output", str(folder), "--name", name]) == 0
    return folder, path


def test_held_out_epochs_are_explained_and_written_down(runs, capsys):
    folder, path = runs
    run = folder / "run-0"
    assert main(["explain", str(run)]) == 0
    shown = capsys.readouterr().out
    assert "20 epochs of 2 subjects, accuracy of all 20" in shown
    names = {file.name for file in (run / "explanation").iterdir()}
    assert names == {
        f"rollout{end}"
        for end in (".safetensors", "-epochs.csv", "-channels.csv", "-topomap.png", "-report.html")
    }

    split = pd.read_csv(run / "split.csv")
    held_out = np.flatnonzero(split["part"] == "validation")
    X, y, metadata = load_memmap(path)
    X = X[held_out].to_epochs(metadata.iloc[held_out].reset_index(drop=True))
    model = load_model(run / "model.safetensors")
    expected = AttentionExplainer().explain(model, X, y[held_out])
    found = Explanation.load(run / "explanation" / "rollout.safetensors")
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-5)

    table = pd.read_csv(run / "explanation" / "rollout-epochs.csv")
    assert table["epoch"].tolist() == held_out.tolist()
    assert table["subject"].tolist() == split["subject"][held_out].tolist()
    assert table["condition"].tolist() == y[held_out].tolist()
    assert table["prediction"].tolist() == model.predict(X).tolist()
    np.testing.assert_allclose(table["confidence"], model.predict_proba(X).max(axis=1), rtol=1e-5)
    channels = ["F3", "F4", "C3", "C4", "P3", "P4", "Oz"]
    np.testing.assert_allclose(table[channels], expected.values, rtol=1e-5)
    means = pd.read_csv(run / "explanation" / "rollout-channels.csv").set_index("channel")
    left = expected.values[y[held_out] == "left"].mean(axis=0)
    np.testing.assert_allclose(means.loc[channels, "left"], left, rtol=1e-5)

    # Nothing is replaced unasked.
    before = (run / "explanation" / "rollout.safetensors").read_bytes()
    assert main(["explain", str(run)]) == 2
    assert "exists already; pass --overwrite" in capsys.readouterr().err
    assert (run / "explanation" / "rollout.safetensors").read_bytes() == before
    assert main(["explain", str(run), "--overwrite"]) == 0


def test_several_runs_are_joined(runs, tmp_path, capsys):
    folder, _ = runs
    method = "gradient-rollout"
    arguments = ["explain", str(folder / "run-*"), "--method", method, "--target", "true"]
    assert main([*arguments, "--output", str(tmp_path / "maps"), "--part", "all"]) == 0
    parts = [
        Explanation.load(folder / name / "explanation" / f"{method}.safetensors")
        for name in ("run-0", "run-1")
    ]
    joined = Explanation.load(tmp_path / "maps" / f"{method}.safetensors")
    np.testing.assert_array_equal(joined.values, np.concatenate([part.values for part in parts]))
    table = pd.read_csv(tmp_path / "maps" / f"{method}-epochs.csv")
    assert table["run_folder"].nunique() == 2
    assert len(table) == 80
    assert (tmp_path / "maps" / f"{method}-report.html").exists()


def test_what_the_original_kept(runs, tmp_path, capsys):
    """Only confident and correct predictions, and its own rollout."""
    folder, path = runs
    run = folder / "original"
    arguments = ["explain", str(run), "--convention", "eeg-transformer", "--head-fusion", "max"]
    arguments += ["--part", "all", "--correct-only", "--min-confidence", "0.5"]
    assert main([*arguments, "--overwrite"]) == 0
    X, y, metadata = load_memmap(path)
    model = load_model(run / "model.safetensors")
    explainer = AttentionExplainer(
        convention="eeg-transformer",
        head_fusion="max",
        residual=False,
        correct_only=True,
        min_confidence=0.5,
    )
    expected = explainer.explain(model, X.to_epochs(metadata), y)
    found = Explanation.load(run / "explanation" / "rollout.safetensors")
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-5)
    assert (found.predictions == found.y).all()


def test_connections_of_both_networks(runs, capsys):
    folder, path = runs
    X, y, metadata = load_memmap(path)
    for name in ("run-1", "original"):
        arguments = ["explain", str(folder / name), "--connections", "--part", "all"]
        assert main([*arguments, "--overwrite"]) == 0
        model = load_model(folder / name / "model.safetensors")
        expected = AttentionExplainer(connections=True).explain(model, X.to_epochs(metadata), y)
        found = Explanation.load(folder / name / "explanation" / "rollout.safetensors")
        assert found.connections.shape == (40, 7, 7)
        np.testing.assert_allclose(found.connections, expected.connections, rtol=1e-4, atol=1e-7)
    arguments = ["explain", str(folder / "run-1"), "--connections", "--overwrite"]
    assert main([*arguments, "--method", "gradient-rollout"]) == 2
    assert "are those of attention: take method='rollout'" in capsys.readouterr().err


def test_other_data(runs, tmp_path, capsys):
    folder, path = runs
    X, y, metadata = load_memmap(path)
    few = np.arange(5)
    epochs = X[few].to_epochs(metadata.iloc[few].reset_index(drop=True))
    other = write_memmap(epochs, y[few], metadata.iloc[few], tmp_path, "other")
    arguments = ["explain", str(folder / "run-0"), "--data", str(other), "--method", "occlusion"]
    arguments += ["--parts", "band"]
    assert main(arguments) == 0
    found = Explanation.load(folder / "run-0" / "explanation" / "occlusion.safetensors")
    assert found.token_values.shape == (5, 7, 4)
    assert found.y.tolist() == y[few].tolist()
    assert main([*arguments, "--part", "training", "--overwrite"]) == 2
    assert "belongs to the run's own data" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none"], "There is no run none: no such folder"),
        (["none-*"], "There is no run none-*"),
        (["."], "is no run of skeegformer train"),
        (["RUN", "--min-confidence", "2"], "--min-confidence 2.0 is no probability"),
        (["RUN", "--parts", "band"], "method='rollout' cannot tell bands apart"),
        (["RUN", "--target", "up", "--method", "integrated-gradients"], "target='up' is neither"),
        (["RUN", "--min-confidence", "1", "--overwrite"], "is left with --min-confidence 1.0"),
        (["RUN", "--data", "none.dat", "--overwrite"], "none.dat"),
    ],
)
def test_wrong_input_is_a_sentence(arguments, message, runs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = [str(runs[0] / "run-0") if part == "RUN" else part for part in arguments]
    assert main(["explain", *arguments]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown
