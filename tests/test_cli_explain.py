"""The command ``skeegformer explain``, on runs that ``skeegformer train`` has made."""

import shutil
from pathlib import Path

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
ORIGINAL += ["--standardize", "True"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs on an export with electrode positions, and one of the original's network."""
    folder = tmp_path_factory.mktemp("explain")
    X, y, metadata, _ = make_simulated_eeg(4, 10, random_state=0)
    X = X.pick(["F3", "F4", "C3", "Cz", "C4", "P3", "P4", "Oz"])
    path = write_memmap(X, y, metadata, folder, "simulated")
    runs = {"run-0": ["--mirror", "none"], "run-1": ["--seed", "1"], "original": ORIGINAL}
    for name, options in runs.items():
        arguments = ["train", "--data", str(path), *QUICK, "--drop", "Cz", *options]
        assert main([*arguments, "--output", str(folder), "--name", name]) == 0
    return folder, path


def test_held_out_epochs_are_explained_and_written_down(runs, tmp_path, capsys, refused):
    folder, path = runs
    # Of its own, whatever other tests have explained before.
    no_explanation = shutil.ignore_patterns("explanation")
    run = Path(shutil.copytree(folder / "run-0", tmp_path / "run-0", ignore=no_explanation))
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
    assert not table["trained_on"].any()
    assert "trained on" not in shown
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
    message = refused("explain", run)
    message += refused("explain", run, folder / "run-1", "--output", folder / "no")
    assert f"{run}/explanation/rollout-channels.csv, {run}/explanation/rollout-epochs" in message
    assert "run-1" not in message  # of which nothing is there
    assert not (folder / "no").exists()
    assert (run / "explanation" / "rollout.safetensors").read_bytes() == before
    assert main(["explain", str(run), "--overwrite"]) == 0


def test_several_runs_are_joined(runs, tmp_path, capsys):
    folder, _ = runs
    method = "gradient-rollout"
    paths = [str(folder / "run-0"), str(folder / "run-1")]
    arguments = ["explain", *paths, "--method", method, "--target", "true"]
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
    assert table["trained_on"].any()
    assert len(joined.subject_means(by=None)) == 4  # who are in both runs


def test_what_the_original_kept(runs, tmp_path, capsys):
    """Only confident and correct predictions, and its own rollout."""
    folder, path = runs
    run = folder / "original"
    arguments = ["explain", str(run), "--convention", "eeg-transformer", "--head-fusion", "max"]
    arguments += ["--part", "all", "--correct-only", "--min-confidence", "0.5"]
    assert main([*arguments, "--overwrite"]) == 0
    X, y, metadata = load_memmap(path)
    model = load_model(run / "model.safetensors")
    explainer = AttentionExplainer(convention="eeg-transformer", head_fusion="max")
    everything = explainer.explain(model, X.to_epochs(metadata), y)
    expected = everything.select(correct=True, min_confidence=0.5)
    found = Explanation.load(run / "explanation" / "rollout.safetensors")
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-5)
    assert (found.predictions == found.y).all()


def test_other_data(runs, tmp_path, capsys, refused):
    folder, path = runs
    X, y, metadata = load_memmap(path)
    split = pd.read_csv(folder / "run-0" / "split.csv")
    known = split["part"] == "training"
    few = np.r_[np.flatnonzero(known)[:3], np.flatnonzero(~known)[:2]]
    epochs = X[few].to_epochs(metadata.iloc[few].reset_index(drop=True))
    other = write_memmap(epochs, y[few], metadata.iloc[few], tmp_path, "other")
    arguments = ["explain", str(folder / "run-0"), "--data", str(other), "--method", "occlusion"]
    arguments += ["--parts", "band", "--output", str(tmp_path / "new")]
    assert main(arguments) == 0
    assert not (folder / "run-0" / "explanation" / "occlusion.safetensors").exists()
    found = Explanation.load(tmp_path / "new" / "occlusion.safetensors")
    assert found.token_values.shape == (5, 7, 4)
    assert found.y.tolist() == y[few].tolist()
    name = split["subject"][known].iloc[0]
    told = f"was trained on subjects with these names: {name} (1 of 2); if they are"
    assert told in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "new" / "occlusion-epochs.csv")
    assert table["trained_on"].tolist() == [True] * 3 + [False] * 2
    shown = refused(*arguments, "--part", "training", "--overwrite")
    assert "tells of 40 epochs of other people" in shown


def test_a_map_is_put_to_the_test(runs, capsys):
    run = str(runs[0] / "original")
    assert main(["explain", run, "--method", "gradient-rollout", "--evaluate"]) == 0
    shown = capsys.readouterr().out
    verdict = shown.split("Putting it to the test ...")[1].split("most on")[0]
    assert "Removing channels" in verdict
    assert f"The map is {run}/explanation/gradient-rollout-topomap.png" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("RUN OTHER --overwrite", "have different networks, and cannot be joined"),
        ("none", "There is no run none: no such folder"),
        (".", "is no run of skeegformer train"),
        ("RUN --min-confidence 2", "--min-confidence 2.0 is no probability"),
        ("RUN --parts band", "--method 'rollout' cannot tell bands apart"),
        ("RUN --target up --method integrated-gradients", "--target 'up' is not one"),
        ("RUN --min-confidence 1 --overwrite", "is left with --min-confidence 1.0"),
        ("RUN --data none.dat --overwrite", "none.dat"),
    ],
)
def test_wrong_input_is_a_sentence(arguments, message, runs, tmp_path, monkeypatch, refused):
    monkeypatch.chdir(tmp_path)
    places = {"RUN": str(runs[0] / "run-0"), "OTHER": str(runs[0] / "original")}
    assert message in refused("explain", *(places.get(part, part) for part in arguments.split()))
