"""The command ``skeegformer train``, run as a user runs it, on an export like the original's."""

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from skeegformer import (
    EEGTransformerClassifier,
    OriginalTransformerClassifier,
    load_model,
    write_memmap,
)
from skeegformer.cli import main
from skeegformer.cli._train_options import OPTIONS, PRESETS, add_options, resolve
from skeegformer.cli._training_data import load_training_data
from skeegformer.cli.train import make_classifier, make_steps

# The options of the original's train.py, each with a value.
ORIGINAL = {
    "--data-path": "x.dat",
    "--label-path": "x.csv",
    "--epoch-length": "64",
    "--num-channels": "4",
    "--learning-rate": "0.1",
    "--early-stopping-patience": "7",
    "--batch-size": "9",
    "--val-subject-ratio": "0.4",
    "--num-tokens": "3",
    "--embedding-dim": "24",
    "--num-layers": "5",
    "--num-heads": "6",
    "--dropout": "0.11",
    "--token-dropout": "0.12",
    "--weight-decay": "0.13",
    "--noise-scale": "0.14",
    "--shuffle-tokens": "temporal",
    "--warmup-steps": "15",
    "--max-epochs": "16",
    "--sample-rate": "100",
    "--notch-freq": "20",
    "--low-pass": "30",
    "--high-pass": "2",
    "--ignore-channels": "1",
    "--stages": "-1",
    "--conditions": "a",
    "--used-data-length": "50",
}
QUICK = ["--n-groups", "2", "--n-heads", "4", "--max-epochs", "3", "--batch-size", "16"]
QUICK += ["--quiet", "--h-freq", "none"]


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """Write an export as the original's script does: no header, time before channels."""
    folder = tmp_path_factory.mktemp("export")
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        [
            (subject, stage, condition)
            for subject in range(1, 7)
            for stage in (-1, 2)
            for condition in ("b", "a", "c")
            for _ in range(4)
        ],
        columns=["subject", "stage", "condition"],
    )
    data = rng.normal(size=(len(table), 64, 4)).astype(np.float32)
    data[table["condition"] == "a", :, 1] *= 3
    data[table["condition"] == "b", :, 2] *= 3
    path = folder / f"raw-nsamp_{len(table)}-eplen_64-mine.dat"
    data.tofile(path)
    table.to_csv(folder / f"label-nsamp_{len(table)}-eplen_64-mine.csv")
    return path


@pytest.fixture(scope="module")
def trained(export, tmp_path_factory):
    """Train once; gives the run and what was printed."""
    output = tmp_path_factory.mktemp("runs")
    command = [sys.executable, "-m", "skeegformer", "train", "--data", export, "--sfreq", "100"]
    command += [*QUICK, "--output", output, "--name", "mine", "--tensorboard", "--drop", "3"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return output / "mine", done.stdout


def test_a_run_keeps_everything(trained, export):
    run, shown = trained
    assert "144 epochs of 6 subjects, 4 channels, 64 samples (48 a, 48 b, 48 c)" in shown
    assert "Training on 120 epochs of 5 subjects; held out are 24 epochs of 1 subject. The" in shown
    assert re.search(r"validation: mean balanced accuracy of 1 subject \d\.\d{3}\n", shown)
    names = {path.name for path in run.iterdir()}
    assert names == {
        "config.yaml", "split.csv", "model.safetensors", "history.csv", "scores.csv",
        "curves.png", "confusion.png", "tensorboard",
    }  # fmt: skip
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["options"]["n_heads"] == 4
    assert config["preset"] == "default"
    assert config["options"]["drop"] == [3]
    assert config["data"]["classes"] == {"a": 48, "b": 48, "c": 48}
    assert config["versions"]["skeegformer"]

    split = pd.read_csv(run / "split.csv")
    assert split["part"].value_counts().to_dict() == {"training": 120, "validation": 24}
    held_out = split.loc[split["part"] == "validation", "subject"].unique()
    assert len(held_out) == 1
    history = pd.read_csv(run / "history.csv")
    assert history["epoch"].tolist() == [1, 2, 3]
    assert (history[["train_loss", "valid_loss", "lr"]] > 0).all(axis=None)
    assert history["lr"].is_monotonic_decreasing
    assert history[["train_acc", "valid_acc"]].isin(np.arange(121) / 120).all(axis=None)

    # The model alone gives the scores that were written.
    model = load_model(run / "model.safetensors")
    data = 1e6 * np.fromfile(export, np.float32).reshape(-1, 64, 4).transpose(0, 2, 1)  # volts
    right = model.predict(data) == split["condition"]
    scores = pd.read_csv(run / "scores.csv").set_index("subject")
    for subject, own in right.groupby(split["subject"]):
        assert scores.loc[subject, "accuracy"] == pytest.approx(own.mean())
        assert scores.loc[subject, "part"] == split.groupby("subject")["part"].first()[subject]


def test_labels_that_are_numbers_stay_numbers(simulated, tmp_path):
    X, _, metadata, _ = simulated
    path = write_memmap(X.copy().pick(["C3", "Cz", "C4"]), X.events[:, 2], metadata, tmp_path)
    arguments = ["train", "--data", str(path), *QUICK, "--mirror", "1=2", "--conditions", "1", "2"]
    assert main([*arguments, "--output", str(tmp_path / "runs"), "--name", "mine"]) == 0
    model = load_model(tmp_path / "runs" / "mine" / "model.safetensors")
    assert model.classes_.tolist() == [1, 2]
    assert model.mirrored_classes_ == {1: 2, 2: 1}


def test_tensorboard_has_scalars_and_matrices(trained):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(trained[0] / "tensorboard"))
    events.Reload()
    scalars = set(events.Tags()["scalars"])
    assert {"Loss/train_loss", "Loss/valid_loss"} <= scalars
    assert {"train_acc", "valid_acc", "lr"} <= {name.split("/")[-1] for name in scalars}
    history = pd.read_csv(trained[0] / "history.csv")
    logged = [event.value for event in events.Scalars("Loss/train_loss")]
    np.testing.assert_allclose(logged, history["train_loss"], rtol=1e-5)
    assert events.Tags()["images"] == [
        "confusion matrix/training",
        "confusion matrix/validation",
    ]


def test_equal_options_give_equal_models_and_never_one_folder(trained, export, capsys):
    run, _ = trained
    arguments = ["train", "--config", str(run / "config.yaml"), "--output", str(run.parent)]
    assert main([*arguments, "--name", "mine", "--quiet"]) == 0
    assert "The run is kept in" in capsys.readouterr().out
    again = run.parent / "mine-2"
    for name in ("history.csv", "scores.csv"):
        first, second = (pd.read_csv(folder / name) for folder in (run, again))
        pd.testing.assert_frame_equal(
            first.drop(columns="dur", errors="ignore"), second.drop(columns="dur", errors="ignore")
        )
    assert not (again / "tensorboard").exists()


def test_killed_and_resumed(export, tmp_path, capsys):
    arguments = ["train", "--data", str(export), "--sfreq", "100", *QUICK, "--seed", "3"]
    arguments += ["--max-epochs", "40", "--patience", "40", "--output", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-m", "skeegformer", *arguments, "--name", "killed"],
        stdout=subprocess.PIPE,
        text=True,
    )
    history = tmp_path / "killed" / "history.csv"
    deadline = time.monotonic() + 120
    while not (history.exists() and len(pd.read_csv(history)) >= 3):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    n_before = len(pd.read_csv(history))
    assert n_before < 40

    assert main(["explain", str(tmp_path / "killed")]) == 2
    assert "has no model yet; finish it first: skeegformer train --resume" in (
        capsys.readouterr().err
    )
    assert main(["train", "--resume", str(tmp_path / "killed"), "--quiet"]) == 0
    assert main([*arguments, "--name", "whole"]) == 0
    models = [load_model(tmp_path / name / "model.safetensors") for name in ("killed", "whole")]
    states = [model.net_.module_.state_dict() for model in models]
    for name, value in states[0].items():
        np.testing.assert_array_equal(value.numpy(), states[1][name].numpy())
    tables = [pd.read_csv(tmp_path / name / "history.csv") for name in ("killed", "whole")]
    pd.testing.assert_frame_equal(*(table.drop(columns="dur") for table in tables))
    assert not (tmp_path / "killed" / "training.safetensors").exists()
    capsys.readouterr()
    assert main(["train", "--resume", str(tmp_path / "killed")]) == 0
    assert "is finished" in capsys.readouterr().out


def _parse(*arguments):
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_options(parser)
    return vars(parser.parse_args(list(arguments)))


def test_all_options_of_the_original_are_understood_and_documented():
    docs = (Path(__file__).parents[1] / "docs" / "command_line.rst").read_text()
    for name, value in ORIGINAL.items():
        (key,) = _parse(name, value)
        assert f"``{name}``" in docs
        assert f"``{OPTIONS[key].flags[0]}``" in docs
        plain = _parse(OPTIONS[key].flags[0], value)
        assert plain == _parse(name, value)
    assert "``--standardize``" in docs


@pytest.mark.parametrize("preset", PRESETS)
def test_defaults_are_those_of_the_classifier(preset):
    kind = EEGTransformerClassifier if preset == "default" else OriginalTransformerClassifier
    made = make_classifier(resolve({}, {}, preset), preset)
    assert type(made) is kind
    expected = kind().get_params() | {"early_stopping": True, "random_state": 0}
    if preset == "eeg-transformer":
        assert expected["noise"] == 0
        expected["noise"] = 0.2
    assert made.get_params() == expected
    params = kind().get_params()
    for name, option in OPTIONS.items():
        if name in params and name not in ("random_state", "sfreq") and option.default is not None:
            assert option.default == params[name], name


def test_every_option_of_network_and_training_reaches_the_classifier():
    words = (
        "--n-groups", "2", "--n-heads", "6", "--n-filters", "3", "--drop-prob", "0.11",
        "--mirror", "a=b", "--adapt", "--max-epochs", "16", "--batch-size", "9", "--lr", "0.1",
        "--weight-decay", "0.13", "--class-weight", "balanced", "--validation-fraction", "0.4",
        "--patience", "7", "--seed", "5", "--device", "auto", "--sfreq", "100",
    )  # fmt: skip
    params = make_classifier(resolve(_parse(*words), {}, "default")).get_params()
    expected = {
        "n_groups": 2, "n_heads": 6, "n_filters": 3, "drop_prob": 0.11, "mirror": {"a": "b"},
        "adapt": True, "max_epochs": 16, "batch_size": 9, "lr": 0.1, "weight_decay": 0.13,
        "class_weight": "balanced", "validation_fraction": 0.4, "n_iter_no_change": 7,
        "random_state": 5, "device": "auto", "sfreq": 100.0, "early_stopping": True,
    }  # fmt: skip
    assert {name: params[name] for name in expected} == expected
    assert set(params) - set(expected) == {"callbacks", "positions", "verbose"}
    auto = _parse("--max-epochs", "auto", "--class-weight", "none")
    assert make_classifier(resolve(auto, {}, "default")).max_epochs == "auto"
    assert not make_classifier(resolve({"validation_fraction": 0.0}, {}, "default")).early_stopping
    for words, value in {"auto": "auto", "none": None, "same": {}}.items():
        assert make_classifier(resolve(_parse("--mirror", words), {}, "default")).mirror == value


def test_every_option_of_the_original_reaches_its_classifier():
    words = [part for name, value in ORIGINAL.items() for part in (name, value)]
    given = _parse(*words, "--class-weight", "none", "--seed", "5", "--device", "auto")
    classifier = make_classifier(resolve(given, {}, "eeg-transformer"), "eeg-transformer")
    assert isinstance(classifier, OriginalTransformerClassifier)
    expected = {
        "lr": 0.1, "n_iter_no_change": 7, "batch_size": 9, "validation_fraction": 0.4,
        "n_time_tokens": 3, "embed_dim": 24, "n_layers": 5, "n_heads": 6, "drop_prob": 0.11,
        "token_drop_prob": 0.12, "weight_decay": 0.13, "noise": 0.14,
        "shuffle_tokens": "temporal", "warmup_steps": 15, "max_epochs": 16, "sfreq": 100.0,
        "crop": 50, "random_state": 5, "class_weight": None, "device": "auto",
        "early_stopping": True,
    }  # fmt: skip
    params = classifier.get_params()
    assert {name: params[name] for name in expected} == expected
    assert set(params) - set(expected) == {"callbacks", "lr_decay", "verbose"}


OF_DEFAULT = ("mirror", "adapt", "n_groups", "n_filters")
OF_ORIGINAL = (
    "n_time_tokens", "embed_dim", "n_layers", "token_drop_prob", "crop", "noise", "shuffle_tokens",
    "warmup_steps",
)  # fmt: skip


def test_networks_have_the_options_that_their_classifiers_have():
    ours, theirs = (
        set(kind().get_params())
        for kind in (EEGTransformerClassifier, OriginalTransformerClassifier)
    )
    for name, option in OPTIONS.items():
        if name in ours | theirs:
            only = {(True, False): "default", (False, True): "eeg-transformer", (True, True): None}
            assert option.preset == only[name in ours, name in theirs], name
    assert tuple(n for n, o in OPTIONS.items() if o.preset == "default") == OF_DEFAULT
    assert tuple(n for n, o in OPTIONS.items() if o.preset == "eeg-transformer") == OF_ORIGINAL


@pytest.mark.parametrize("name", [*OF_DEFAULT, *OF_ORIGINAL])
def test_an_option_of_the_other_network_is_refused_by_a_sentence(name, export, tmp_path, capsys):
    own, other = "default", "eeg-transformer"
    if name in OF_DEFAULT:
        own, other = other, own
    flag = OPTIONS[name].flags[0]
    value = {"mirror": ["none"], "adapt": [], "shuffle_tokens": ["all"]}.get(name, ["1"])
    arguments = ["--data", str(export), "--sfreq", "100", "--output", str(tmp_path / "runs")]
    assert main(["train", "--preset", own, *arguments, flag, *value]) == 2
    shown = capsys.readouterr().err
    assert f"{flag} is an option of --preset {other}." in shown
    assert shown.count("\n") == 1
    content = value[0] if value else True
    (tmp_path / "options.yaml").write_text(yaml.safe_dump({name: content}))
    arguments += ["--config", str(tmp_path / "options.yaml")]
    assert main(["train", "--preset", own, *arguments]) == 2
    assert f"{flag} is an option of --preset {other}." in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_run_of_the_original_is_trained_and_resumed(export, tmp_path, capsys):
    """And its configuration, which lists the options of both networks, can be given again."""
    arguments = ["train", "--preset", "eeg-transformer", "--data", str(export), "--quiet"]
    sizes = ["--sfreq", "100", "--embed-dim", "8", "--n-heads", "2", "--n-layers", "2"]
    sizes += ["--max-epochs", "2", "--output", str(tmp_path)]
    assert main([*arguments, *sizes, "--name", "first"]) == 0
    model = load_model(tmp_path / "first" / "model.safetensors")
    assert isinstance(model, OriginalTransformerClassifier)
    assert (model.n_layers, model.noise, model.n_time_tokens) == (2, 0.2, 4)
    config = yaml.safe_load((tmp_path / "first" / "config.yaml").read_text())
    assert config["preset"] == "eeg-transformer"
    assert (config["options"]["n_groups"], config["options"]["n_layers"]) == (None, 2)
    (tmp_path / "first" / "model.safetensors").unlink()
    capsys.readouterr()
    assert main(["train", "--resume", str(tmp_path / "first"), "--quiet"]) == 0
    again = load_model(tmp_path / "first" / "model.safetensors")
    for name, value in model.net_.module_.state_dict().items():
        np.testing.assert_array_equal(value, again.net_.module_.state_dict()[name])
    given = ["--config", str(tmp_path / "first" / "config.yaml"), "--output", str(tmp_path)]
    assert main(["train", "--preset", "eeg-transformer", *given, "--name", "other"]) == 0
    tables = [pd.read_csv(tmp_path / name / "history.csv") for name in ("first", "other")]
    pd.testing.assert_frame_equal(*(table.drop(columns="dur") for table in tables))


def test_options_of_the_signal_make_the_steps():
    given = _parse(
        "--drop", "Cz", "2", "--l-freq", "2", "--h-freq", "30", "--notch-freq", "20", "--sfreq",
        "100", "--resample", "50",
    )  # fmt: skip
    steps = dict(make_steps(resolve(given, {}, "default")))
    assert list(steps) == ["drop", "notch", "filter", "resample"]
    assert steps["drop"].ch_names == ("Cz", 2)
    assert (steps["filter"].l_freq, steps["filter"].h_freq, steps["filter"].sfreq) == (2, 30, 100)
    assert steps["resample"].sfreq == 50
    assert make_steps(resolve(_parse("--h-freq", "none"), {}, "default")) == []


def test_options_of_the_data(export):
    labels = str(export.parent / export.name.replace("raw-", "label-")).replace(".dat", ".csv")
    given = _parse(
        "--data", str(export), "--labels", labels, "--conditions", "a", "b", "--stages", "2",
        "--subjects", "2-4", "--n-times", "64", "--n-chans", "4",
    )  # fmt: skip
    data = load_training_data(resolve(given, {}, "default"))
    assert data.describe() == {
        "n_epochs": 24, "n_chans": 4, "n_times": 64, "n_subjects": 3, "classes": {"a": 12, "b": 12},
    }  # fmt: skip


def test_recordings(recorded_subjects):
    given = _parse("--task", "fist-imagination", "--subjects", "1,2", "--window", "1")
    data = load_training_data(resolve(given, {}, "default"))
    assert data.describe()["n_times"] == 160
    assert data.describe()["n_subjects"] == 2
    given = _parse("--task", "fist-imagination", "baseline-eyes", "--subjects", "1")
    given["conditions"] = ["left-fist-imag", "eyes-open"]
    data = load_training_data(resolve(given, {}, "default"))
    assert sorted(set(data.y)) == ["eyes-open", "left-fist-imag"]
    assert len(data.X) == len(data.y) == len(data.metadata)
    assert data.X.get_data().shape[-1] == 320


def test_preset_is_the_original():
    options = resolve({}, {}, "eeg-transformer")
    classifier = make_classifier(options, "eeg-transformer")
    assert (classifier.n_layers, classifier.n_heads, classifier.embed_dim) == (3, 8, 64)
    assert (classifier.warmup_steps, classifier.lr_decay) == (500, 0.995)
    assert make_steps(options) == []
    assert set(PRESETS["eeg-transformer"]) <= set(OPTIONS)


def test_choices_are_those_of_the_package():
    """They stand in the command line once more, so that its help need not load torch."""
    from skeegformer.cli.explain import _METHODS
    from skeegformer.explain import METHODS
    from skeegformer.nn.original import SHUFFLES

    assert OPTIONS["shuffle_tokens"].choices == SHUFFLES
    assert tuple(METHODS) == _METHODS


def test_files_of_options(tmp_path):
    config = tmp_path / "options.yaml"
    config.write_text("task: fist-imagination\nn_heads: 16\nh_freq: none\nsubjects: 1-3\n")
    from skeegformer.cli.train import _read_options

    options = resolve({"n_heads": 8}, _read_options(config), "default")
    assert options["task"] == ["fist-imagination"]
    assert (options["n_heads"], options["h_freq"]) == (8, None)
    assert options["subjects"] == [1, 2, 3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Say what to train on: --data FILE for an export"),
        (["--data", "a.dat", "--task", "fist-motion"], "not both"),
        (["--task", "fist-motion", "--n-chans", "3"], "--n-chans belongs to --data"),
        (["--task", "fist-motion", "--window", "0"], "--window 0.0 is no length"),
        (["--task", "nothing"], "--task nothing is unknown; there are baseline-eyes"),
        (["--data", "none.dat"], "none.dat"),
        (["--data", "EXPORT", "--conditions", "d"], "d"),
        (["--data", "EXPORT", "--conditions", "a"], "There are only epochs of 'a'"),
        (["--data", "EXPORT", "--n-heads", "0"], "n_heads=0 has to be a whole number"),
        (
            ["--data", "EXPORT", "--preset", "eeg-transformer", "--embed-dim", "7"],
            "n_heads=8 does not divide embed_dim=7",
        ),
        (["--data", "EXPORT", "--mirror", "left"], "--mirror left is none of auto"),
        (["--data", "EXPORT", "--drop", "9"], "ch_names has 9, but the 4 channels"),
        (
            ["--data", "EXPORT", "--subjects", "2"],
            "holds out whole subjects, but there is only one",
        ),
        (["--data", "EXPORT", "--output", "EXPORT"], "is a file; name a folder"),
        (["--data", "EXPORT", "--name", "a/b"], "'a/b' is no name of a folder"),
        (["--data", "EXPORT", "--config", "none.yaml"], "There is no file none.yaml"),
        (["--data", "EXPORT", "--config", "BAD"], "is not valid YAML"),
        (
            ["--data", "EXPORT", "--config", "UNKNOWN"],
            "'n_headss', which is no option; n_heads",
        ),
        (["--data", "EXPORT", "--device", "cuda:77"], "device='cuda:77' is not available"),
        (["--resume", "none"], "There is no run none: no such folder"),
        (["--resume", "."], "is no run of skeegformer train"),
        (["--resume", ".", "--lr", "1"], "leave out --lr"),
    ],
)
def test_wrong_input_is_a_sentence(arguments, message, export, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.yaml").write_text("a: [1\n")
    (tmp_path / "unknown.yaml").write_text("n_headss: 16\n")
    places = {"EXPORT": str(export), "BAD": "bad.yaml", "UNKNOWN": "unknown.yaml"}
    rate = ["--sfreq", "100"] if "EXPORT" in arguments else []
    arguments = [places.get(part, part) for part in arguments]
    assert main(["train", *arguments, *rate]) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert "Traceback" not in shown.err
    assert shown.err.count("\n") <= 2
    assert not list((tmp_path / "runs").glob("*"))


def test_changed_data_are_noticed(trained, export, tmp_path, capsys):
    run, _ = trained
    (tmp_path / "run").mkdir()
    for name in ("config.yaml", "split.csv"):
        text = (run / name).read_text()
        (tmp_path / "run" / name).write_text(text.replace(",a,", ",b,"))
    assert main(["train", "--resume", str(tmp_path / "run")]) == 2
    assert "the data have changed since the run was started" in capsys.readouterr().err


def test_folder_that_cannot_be_written_to(export, tmp_path, capsys):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs").chmod(0o500)
    if os.access(tmp_path / "runs", os.W_OK):
        pytest.skip("this user may write everywhere")
    assert main(["train", "--data", str(export), "--output", str(tmp_path / "runs")]) == 2
    assert "cannot be written to; name another folder" in capsys.readouterr().err
