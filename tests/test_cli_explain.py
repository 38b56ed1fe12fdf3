"""The command ``skeegformer explain``, on runs that ``skeegformer train`` has made."""

import argparse
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from mne.filter import filter_data, notch_filter
from test_io_checkpoints import HYPERPARAMETERS, _make_state, _original, _original_rollout
from test_io_checkpoints import _save as save_checkpoint

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
    assert main(["explain", str(run)]) == 2
    assert main(["explain", *map(str, folder.glob("run-*")), "--output", str(folder / "no")]) == 2
    message = capsys.readouterr().err
    assert f"{run}/explanation: rollout.safetensors, rollout-epochs.csv, rollout-chan" in message
    assert "run-1" not in message  # of which nothing is there
    assert not (folder / "no").exists()
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

    assert table["trained_on"].any()
    # And compared, run by run; people of both are told.
    shown = capsys.readouterr().out
    assert "Maps of the runs beside each other" in shown
    assert "4 of 4 subjects are explained in more than one run." in shown
    assert len(joined.subject_means(by=None)) == 4
    assert (tmp_path / "maps" / f"{method}-runs.png").exists()
    runs = pd.read_csv(tmp_path / "maps" / f"{method}-runs.csv")
    assert runs["run"].tolist() == ["run-0", "run-1"]
    for part, row in zip(parts, runs.itertuples(), strict=True):
        assert (row.n_epochs, row.accuracy) == (40, np.mean(part.predictions == part.y))
        np.testing.assert_allclose(row[4:], part.values.mean(axis=0))


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
    )
    everything = explainer.explain(model, X.to_epochs(metadata), y)
    expected = everything.select(correct=True, min_confidence=0.5)
    found = Explanation.load(run / "explanation" / "rollout.safetensors")
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-5)
    assert (found.predictions == found.y).all()


def test_other_data(runs, tmp_path, capsys):
    folder, path = runs
    X, y, metadata = load_memmap(path)
    split = pd.read_csv(folder / "run-0" / "split.csv")
    known = split["part"] == "training"
    few = np.r_[np.flatnonzero(known)[:3], np.flatnonzero(~known)[:2]]
    epochs = X[few].to_epochs(metadata.iloc[few].reset_index(drop=True))
    other = write_memmap(epochs, y[few], metadata.iloc[few], tmp_path, "other")
    arguments = ["explain", str(folder / "run-0"), "--data", str(other), "--method", "occlusion"]
    arguments += ["--parts", "band"]
    assert main(arguments) == 0
    found = Explanation.load(folder / "run-0" / "explanation" / "occlusion.safetensors")
    assert found.token_values.shape == (5, 7, 4)
    assert found.y.tolist() == y[few].tolist()
    name = split["subject"][known].iloc[0]
    told = f"was trained on subjects with these names: {name} (1 of 2); if they are"
    assert told in capsys.readouterr().out
    table = pd.read_csv(folder / "run-0" / "explanation" / "occlusion-epochs.csv")
    assert table["trained_on"].tolist() == [True] * 3 + [False] * 2
    assert main([*arguments, "--part", "training", "--overwrite"]) == 2
    assert "tells of 40 epochs of other people" in capsys.readouterr().err


def test_a_map_is_put_to_the_test(runs, capsys):
    run = str(runs[0] / "original")
    assert main(["explain", run, "--method", "gradient-rollout", "--evaluate"]) == 0
    shown = capsys.readouterr().out
    verdict = shown.split("Putting it to the test ...")[1].split("most on")[0]
    assert "Removing channels" in verdict
    assert f"The map is {run}/explanation/gradient-rollout-topomap.png" in shown


def test_names_that_the_training_did_not_know(tmp_path, capsys):
    rng = np.random.default_rng(0)
    data, y = rng.normal(size=(40, 6, 100)), np.tile(["a", "b"], 20)
    metadata = pd.DataFrame({"subject": np.repeat([1, 2, 3, 4], 10)})
    path = str(write_memmap(data, y, metadata, tmp_path))
    arguments = ["train", "--data", path, "--drop", "1", "--sfreq", "100", *QUICK]
    assert main([*arguments, "--output", str(tmp_path), "--name", "mine"]) == 0
    names = ["--ch-names", "Fz,C3,Cz,C4,Oz,Pz", "--sfreq", "100"]
    expected = {"bars": [f"channel {k}" for k in (0, 2, 3, 4, 5)]}  # places in the export
    expected["topomap"] = ["Fz", "Cz", "C4", "Oz", "Pz"]
    for more, figure in (([], "bars"), ([*names, "--overwrite"], "topomap")):
        assert main(["explain", str(tmp_path / "mine"), *more]) == 0
        assert f"rollout-{figure}.png" in capsys.readouterr().out
        found = Explanation.load(tmp_path / "mine" / "explanation" / "rollout.safetensors")
        assert found.ch_names == expected[figure]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("RUN OTHER", "have different networks, and cannot be joined"),
        ("none", "There is no run none: no such folder"),
        ("none-*", "There is no run none-*"),
        (".", "is no run of skeegformer train"),
        ("RUN --min-confidence 2", "--min-confidence 2.0 is no probability"),
        ("RUN --parts band", "--method rollout cannot tell bands apart"),
        ("RUN --target up --method integrated-gradients", "--target up is not one"),
        ("RUN --min-confidence 1 --overwrite", "is left with --min-confidence 1.0"),
        ("RUN --data none.dat --overwrite", "none.dat"),
        ("ATTENTION", "attention.pt cannot be read: it is damaged, or no attention.pt"),
        ("ATTENTION --method occlusion", "attention.pt holds rollout; for --method occl"),
        ("ATTENTION --evaluate", "--evaluate needs the model, which"),
        ("ATTENTION --ch-names C3,C4", "--ch-names needs the sampling rate as well"),
    ],
)
def test_wrong_input_is_a_sentence(arguments, message, runs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    places = {"RUN": str(runs[0] / "run-0"), "OTHER": str(runs[0] / "original")}
    places["ATTENTION"] = "attention.pt"
    torch.save({"val_idx": np.arange(3)}, "attention.pt")
    assert main(["explain", *(places.get(part, part) for part in arguments.split())]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown


@pytest.fixture
def lightning(tmp_path, monkeypatch):
    """Write what the original's scripts leave: an export, and a run of PyTorch Lightning."""
    monkeypatch.chdir(tmp_path)
    hp = {**HYPERPARAMETERS, "epoch_length": 100, "sample_rate": 100.0, "high_pass": 4.0}
    hp |= {"low_pass": 30.0, "notch_freq": 20.0, "stages": ["-1"], "used_data_length": 90}
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        [(s, g, c) for s in (1, 2, 3) for g in (2, -1) for c in hp["conditions"] for _ in range(2)],
        columns=["subject", "stage", "condition"],
    )
    data = (7 * rng.normal(size=(36, 100, 6))).astype("f4")
    data.tofile("raw-nsamp_36-eplen_100-mine.dat")
    table.to_csv("label-nsamp_36-eplen_100-mine.csv")
    hp |= {"data_path": "raw-nsamp_36-eplen_100-mine.dat", "label_path": "gone.csv"}
    run = tmp_path / "lightning_logs" / "version_0"
    state = _make_state(hp)
    save_checkpoint(run / "checkpoints" / "epoch=3-step=120.ckpt", hp=None, state=state)
    (run / "hparams.yaml").write_text(yaml.safe_dump(hp))
    used = np.flatnonzero(table["stage"] == -1)
    subjects = table["subject"][used].astype(str).to_numpy()
    split = {
        "train_idx": np.flatnonzero(subjects != "2"),
        "val_idx": np.flatnonzero(subjects == "2"),
        "train_subjects": pd.Index(["1", "3"]),
        "val_subjects": pd.Index(["2"]),
    }
    torch.save(split, run / "splits.pt")
    return run, hp, state, data[used], table["condition"].to_numpy()[used], subjects


ITS_ROLLOUT = ["--convention", "eeg-transformer", "--head-fusion", "max"]


def _its_own_script(lightning):
    """Logits of the epochs held out, rollout of all tokens and of the class token."""
    _, hp, state, x, _, subjects = lightning
    x = notch_filter(x.astype(float).transpose(0, 2, 1), 100.0, [20.0, 40.0], verbose="ERROR")
    x = filter_data(x, 100.0, 4.0, 30.0, verbose="ERROR").transpose(0, 2, 1)
    x = torch.from_numpy(x.astype("f4")[subjects == "2"])
    logits, attention = _original(state, hp, x)
    return logits, *_original_rollout(attention)


def test_a_run_of_the_original_is_explained_as_by_its_own_script(lightning, capsys):
    run, hp, _, _, y, subjects = lightning
    logits, _, rollout = _its_own_script(lightning)
    assert main(["explain", "lightning_logs/version_0", *ITS_ROLLOUT]) == 0
    assert "there is no map, but bars: lightning_logs" in capsys.readouterr().out
    found = Explanation.load(run / "explanation" / "rollout.safetensors")
    order = np.argsort(hp["conditions"])
    np.testing.assert_allclose(found.probabilities, logits.softmax(1)[:, order], atol=1e-5)
    assert found.y.tolist() == y[subjects == "2"].tolist()
    rollout = rollout.reshape(-1, 4, 3).numpy()  # shares are proportional to its numbers
    ratio = found.token_values / rollout
    np.testing.assert_allclose(ratio / ratio.mean(axis=(1, 2), keepdims=True), 1, rtol=1e-4)
    names = {file.name for file in (run / "explanation").iterdir()}
    assert "rollout-bars.png" in names
    assert "rollout-topomap.png" not in names

    # Names make it a map; a checkpoint and other data do as well as a folder.
    names = ["--ch-names", "Fz,C3,Cz,C4,Oz,Pz", "--overwrite"]
    checkpoint = str(next(run.glob("checkpoints/*.ckpt")))
    assert main(["explain", checkpoint, "--data", hp["data_path"], *names, *ITS_ROLLOUT]) == 0
    shown = capsys.readouterr().out
    assert "The map is" in shown
    assert "was trained on subjects with these names: 1, 3 (2 of 3); if they" in shown
    every = Explanation.load(run / "explanation" / "rollout.safetensors")
    assert every.ch_names == ["Fz", "Cz", "C4", "Pz"]
    assert not (run / "explanation" / "rollout-bars.png").exists()
    np.testing.assert_allclose(every.values[subjects == "2"], found.values, rtol=1e-6)


def test_splits_of_the_original_run_nothing_and_have_to_fit(lightning, tmp_path, capsys):
    run, hp, *_ = lightning

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "evil"),)

    split = {"train_idx": np.arange(12), "val_idx": np.arange(12, 18)}
    torch.save({**split, "val_subjects": Evil()}, run / "splits.pt")
    assert main(["explain", str(run)]) == 0
    assert not (tmp_path / "evil").exists()
    for content, message in (
        ({"train_idx": np.arange(1, 18, 2), "val_idx": np.arange(0, 18, 2)}, "whole subjects"),
        ({**split, "val_idx": np.arange(12, 20)}, "whole subjects"),
        ({"train_idx": Evil(), "val_idx": Evil()}, "splits.pt cannot be read"),
    ):
        torch.save(content, run / "splits.pt")
        assert main(["explain", str(run), "--overwrite"]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "evil").exists()
    assert main(["explain", str(run), "--overwrite", "--part", "all"]) == 0
    Path(hp["data_path"]).unlink()
    assert main(["explain", str(run), "--overwrite"]) == 2
    assert "are not there; say where they are: --data FILE" in capsys.readouterr().err


@pytest.mark.parametrize("stages", [True, False])
@pytest.mark.parametrize("dtype", [object, "str"])
def test_attention_that_the_original_has_saved(stages, dtype, lightning, tmp_path, capsys):
    """As its attention.py did with and without stages, with texts of older and newer pandas."""
    run, hp, *_ = lightning
    assert main(["explain", str(run), *ITS_ROLLOUT, "--connections"]) == 0
    expected = Explanation.load(run / "explanation" / "rollout.safetensors")
    _, attention, _ = _its_own_script(lightning)
    subjects, names = pd.Series(expected.subjects.astype(str), dtype=dtype).factorize()
    labels, conditions = pd.Series(expected.y, dtype=dtype).factorize()
    codes = [hp["conditions"].index(label) for label in expected.predictions]
    confidences = torch.from_numpy(expected.confidences)
    content = [attention, confidences, torch.tensor(codes), torch.from_numpy(labels)]
    content += [torch.zeros(len(labels))] * stages
    content += [torch.from_numpy(subjects), argparse.Namespace(**hp), conditions]
    content += [pd.Index(["-1"], dtype=dtype)] * stages
    torch.save((*content, names), run / "attention.pt")

    found = Explanation.load(run / "attention.pt")
    for name in ("token_values", "connections"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-4)
    np.testing.assert_array_equal(found.confidences, expected.confidences)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)
    for name in ("predictions", "y", "classes", "ch_names", "parts"):
        assert list(getattr(found, name)) == list(getattr(expected, name)), name
    assert found.subjects.tolist() == expected.subjects.astype(str).tolist()
    assert found.ch_names == ["channel 0", "channel 2", "channel 3", "channel 5"]

    # In the shell with names, and beside another; nothing is needed but the file.
    Path(hp["data_path"]).unlink()
    other = run.parent / "version_1"
    other.mkdir()
    shutil.copy(run / "attention.pt", other)
    names = ["--ch-names", "Fz,C3,Cz,C4,Oz,Pz", "--sfreq", "100", "--overwrite"]
    files = [str(path / "attention.pt") for path in (run, other)]
    assert main(["explain", *files, *names, "--output", str(tmp_path / "both")]) == 0
    assert "the largest weight of all heads" in capsys.readouterr().out
    assert (tmp_path / "both" / "rollout-runs.png").exists()
    named = Explanation.load(other / "explanation" / "rollout.safetensors")
    assert named.ch_names == ["Fz", "Cz", "C4", "Pz"]
    np.testing.assert_array_equal(named.values, found.values)
    assert main(["explain", files[0], *names[:1], "Fz,Cz", *names[2:]]) == 2
    assert "There are 2 names of channels, but" in capsys.readouterr().err
    assert main(["explain", files[0], str(run), "--overwrite"]) == 2
    assert "cannot be joined" in capsys.readouterr().err
