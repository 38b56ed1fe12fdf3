"""The command ``skeegformer train``, run as a user runs it, on an export like the original's."""

import argparse
import itertools
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest
import yaml

from skeegformer import (
    EEGTransformerClassifier,
    OriginalTransformerClassifier,
    load_memmap,
    load_model,
    write_memmap,
)
from skeegformer.cli import explain, main
from skeegformer.cli._model import make_classifier, make_steps
from skeegformer.cli._train_options import (
    FLAGS,
    NETWORKS,
    OPTIONS,
    PRESETS,
    add_options,
    read_options,
    resolve,
)
from skeegformer.cli._training_data import describe, load_data
from skeegformer.cli._training_log import TrainingLog
from skeegformer.explain import METHODS
from skeegformer.io._encoding import Decoder, Encoder
from skeegformer.io._format import read_file, write_file
from skeegformer.nn.original import SHUFFLES

# The options of the original's train.py: another value, its default before 7 November 2022, and
# since then where it is another. None stands for no default, or for one that is not a parameter.
ORIGINAL = {
    "--data-path": ("x.dat",),
    "--learning-rate": ("0.1", 5e-3),
    "--early-stopping-patience": ("7", 100),
    "--batch-size": ("9", 32, 64),
    "--val-subject-ratio": ("0.4", 0.15),
    "--num-tokens": ("3", 4, 1),
    "--embedding-dim": ("24", 64, 128),
    "--num-layers": ("5", 3, 5),
    "--num-heads": ("6", 8),
    "--dropout": ("0.11", 0.3, 0.0),
    "--token-dropout": ("0.12", 0.1),
    "--weight-decay": ("0.13", 0.1, 0.3),
    "--noise-scale": ("0.14", 0.2),
    "--shuffle-tokens": ("temporal", "none"),
    "--warmup-steps": ("15", 500, 1000),
    "--max-epochs": ("16", 300),
    "--notch-freq": ("20", None),
    "--low-pass": ("30", None),
    "--high-pass": ("2", None),
    "--ignore-channels": ("1", []),
    "--stages": ("-1", None),
    "--conditions": ("a", None),
    "--used-data-length": ("50", None),
}
QUICK = ["--n-groups", "2", "--n-heads", "4", "--max-epochs", "3", "--batch-size", "16"]
QUICK += ["--quiet", "--h-freq", "none"]


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """Write an export of six subjects with stages."""
    rng = np.random.default_rng(0)
    rows = itertools.product(range(1, 7), (-1, 2), ("b", "a", "c"), range(4))
    table = pd.DataFrame(rows, columns=["subject", "stage", "condition", "number"])
    data = rng.normal(size=(len(table), 4, 64))
    data[table["condition"] == "a", 1] *= 3
    data[table["condition"] == "b", 2] *= 3
    info = mne.create_info(["C3", "Cz", "C4", "Pz"], 100.0, "eeg")
    X = mne.EpochsArray(1e-6 * data, info)
    folder = tmp_path_factory.mktemp("export")
    return write_memmap(X, table["condition"], table.drop(columns="number"), folder, "mine")


@pytest.fixture(scope="module")
def trained(export, tmp_path_factory):
    """Train once; gives the run and what was printed."""
    output = tmp_path_factory.mktemp("runs")
    command = [sys.executable, "-m", "skeegformer", "train", "--data", export]
    command += [*QUICK, "--output", output, "--name", "mine", "--tensorboard", "--drop", "3"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return output / "mine", done.stdout


def test_a_run_keeps_everything(trained, export):
    run, shown = trained
    assert "144 epochs of 6 subjects, 4 channels, 64 samples (48 a, 48 b, 48 c)" in shown
    assert "Training on 120 epochs of 5 subjects; held out are 24 epochs of 1 subject. The" in shown
    assert re.search(r"validation: mean balanced accuracy of 1 subject \d\.\d{3}\n", shown)
    assert {path.name for path in run.iterdir()} == {
        "config.yaml", "split.csv", "model.safetensors", "history.csv", "scores.csv",
        "curves.png", "confusion.png", "tensorboard",
    }  # fmt: skip
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert (config["options"]["n_heads"], config["options"]["drop"]) == (4, [3])
    assert config["preset"] == "default"
    assert config["data"]["classes"] == {"a": 48, "b": 48, "c": 48}
    assert config["versions"]["skeegformer"]

    split = pd.read_csv(run / "split.csv")
    assert split["part"].value_counts().to_dict() == {"training": 120, "validation": 24}
    assert split.loc[split["part"] == "validation", "subject"].nunique() == 1
    history = pd.read_csv(run / "history.csv")
    assert history["epoch"].tolist() == [1, 2, 3]
    assert (history[["train_loss", "valid_loss", "lr"]] > 0).all(axis=None)
    assert history["lr"].is_monotonic_decreasing
    assert history[["train_acc", "valid_acc"]].isin(np.arange(121) / 120).all(axis=None)

    # The model alone gives the scores that were written.
    model = load_model(run / "model.safetensors")
    data = 1e6 * np.fromfile(export, np.float32).reshape(-1, 64, 4).transpose(0, 2, 1)  # volts
    info = load_memmap(export)[0].info
    right = model.predict(mne.EpochsArray(1e-6 * data, info)) == split["condition"]
    scores = pd.read_csv(run / "scores.csv").set_index("subject")
    for subject, own in right.groupby(split["subject"]):
        assert scores.loc[subject, "accuracy"] == pytest.approx(own.mean())
        assert scores.loc[subject, "part"] == split.groupby("subject")["part"].first()[subject]


def test_labels_that_are_numbers_and_a_seed_that_is_drawn(simulated, tmp_path, capsys):
    X, _, metadata, _ = simulated
    path = write_memmap(X.copy().pick(["C3", "Cz", "C4"]), X.events[:, 2], metadata, tmp_path)
    arguments = ["train", "--data", str(path), *QUICK, "--mirror", "1=2", "--conditions", "1", "2"]
    arguments += ["--seed", "none", "--learning-rate", "0.1"]
    assert main([*arguments, "--output", str(tmp_path), "--name", "mine"]) == 0
    assert "To train as eeg-transformer does, without filters, add" in capsys.readouterr().out
    model = load_model(tmp_path / "mine" / "model.safetensors")
    assert model.classes_.tolist() == [1, 2]
    assert model.mirrored_classes_ == {1: 2, 2: 1}
    split = pd.read_csv(tmp_path / "mine" / "split.csv")
    held_out = model.held_out(split["condition"], split["subject"].to_numpy())
    assert held_out.tolist() == (split["part"] == "validation").tolist()
    config = yaml.safe_load((tmp_path / "mine" / "config.yaml").read_text())
    assert model.random_state == config["options"]["random_state"]


def _scalars(folder):
    """Values of all files by step: of two files of one second, TensorBoard would read one."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = {}
    for path in folder.rglob("events.*"):
        events = accumulator.EventAccumulator(str(path)).Reload()
        for tag in events.Tags()["scalars"]:
            found.setdefault(tag, {}).update({e.step: e.value for e in events.Scalars(tag)})
    return {tag: [values[step] for step in sorted(values)] for tag, values in found.items()}


def test_tensorboard_has_the_history(trained):
    logged = _scalars(trained[0] / "tensorboard")
    history = pd.read_csv(trained[0] / "history.csv")
    names = {"train_loss": "Loss/", "valid_loss": "Loss/", "train_acc": "Accuracy/"}
    names |= {"valid_acc": "Accuracy/", "lr": ""}
    assert set(logged) == {kind + name for name, kind in names.items()}
    for name, kind in names.items():
        np.testing.assert_allclose(logged[kind + name], history[name], rtol=1e-5)


def test_equal_options_give_equal_models_and_never_one_folder(trained, export, capsys):
    run, _ = trained
    arguments = ["train", "--config", str(run / "config.yaml"), "--output", str(run.parent)]
    assert main([*arguments, "--name", "mine", "--quiet"]) == 0
    again = run.parent / "mine-2"
    for name in ("history.csv", "scores.csv"):
        tables = [pd.read_csv(folder / name) for folder in (run, again)]
        pd.testing.assert_frame_equal(*(t.drop(columns="dur", errors="ignore") for t in tables))
    assert not (again / "tensorboard").exists()


def test_killed_and_resumed(export, tmp_path, capsys, refused):
    arguments = ["train", "--data", str(export), *QUICK, "--seed", "3"]
    arguments += ["--max-epochs", "40", "--patience", "40", "--output", str(tmp_path)]
    arguments += ["--l-freq", "4", "--tensorboard"]
    process = subprocess.Popen(
        [sys.executable, "-m", "skeegformer", *arguments, "--name", "killed"],
        stdout=subprocess.PIPE,
        text=True,
    )
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    deadline = time.monotonic() + 120
    while not (killed / "history.csv").exists() or len(pd.read_csv(killed / "history.csv")) < 3:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (killed / "model.safetensors").exists()
    assert len(pd.read_csv(killed / "history.csv")) < 40
    assert len(list(tmp_path.rglob("raw-*.dat"))) == 1  # the filtered copy

    hint = "has no model yet; finish it first: skeegformer train --resume"
    assert hint in refused("explain", killed)
    assert main(["train", "--resume", str(killed), "--quiet"]) == 0
    assert main([*arguments, "--name", "whole"]) == 0
    states = [
        load_model(run / "model.safetensors")[-1].net_.module_.state_dict()
        for run in (killed, whole)
    ]
    for name, value in states[0].items():
        np.testing.assert_array_equal(value.numpy(), states[1][name].numpy())
    tables = [pd.read_csv(run / "history.csv").drop(columns="dur") for run in (killed, whole)]
    pd.testing.assert_frame_equal(*tables)
    assert _scalars(killed / "tensorboard") == _scalars(whole / "tensorboard")
    assert sorted(p.name for p in killed.iterdir()) == sorted(p.name for p in whole.iterdir())
    assert not list(tmp_path.rglob("raw-*.dat"))
    capsys.readouterr()
    assert main(["train", "--resume", str(killed)]) == 0
    assert "is finished" in capsys.readouterr().out


def test_interrupted_while_it_filters(export, tmp_path, monkeypatch):
    """What was asked for is known before the first epoch of training."""

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    arguments = ["train", "--data", str(export), *QUICK, "--drop", "3"]
    with monkeypatch.context() as patch:
        patch.setattr("skeegformer.datasets.memmap.write_transformed", interrupt)
        assert main([*arguments, "--tensorboard", "--output", str(tmp_path), "--name", "a"]) == 130
    assert main(["train", "--resume", str(tmp_path / "a"), "--quiet"]) == 0
    assert _scalars(tmp_path / "a" / "tensorboard")


def test_a_state_from_a_stranger_cannot_say_what_is_written(export, tmp_path, monkeypatch):
    """Its file can be edited, with a checksum that fits."""
    theirs, run = tmp_path / "thesis.docx", tmp_path / "mine"
    theirs.write_text("precious")

    def fail(self, net, **kwargs):
        if len(net.history) == 2:
            raise OSError("the disk is full")

    arguments = ["train", "--data", str(export), *QUICK, "--name", "mine"]
    with monkeypatch.context() as patch:
        patch.setattr(TrainingLog, "on_epoch_end", fail)
        assert main([*arguments, "--output", str(tmp_path)]) == 2
    config = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(yaml.safe_dump(config | {"path": str(theirs)}))
    state = read_file(run / "training.safetensors", "training", Decoder.decode_all)
    for name in ("ResumableTraining", "TrainingLog"):
        state["callbacks"][name] = {"path": str(theirs), "path_": str(theirs)}
    encoder = Encoder()
    state = {name: encoder.encode(value) for name, value in state.items()}
    write_file(run / "training.safetensors", "training", state, encoder.arrays)
    assert main(["train", "--resume", str(run), "--quiet"]) == 0
    assert theirs.read_text() == "precious"
    assert len(pd.read_csv(run / "history.csv")) == 3


def _parse(*arguments):
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_options(parser)
    return vars(parser.parse_args(list(arguments)))


def _options(*words, preset="default"):
    return resolve(_parse(*words), {}, preset)


def test_all_options_of_the_original_are_understood_and_documented():
    docs = (Path(__file__).parents[1] / "docs" / "command_line.rst").read_text()
    for name, (value, *_) in ORIGINAL.items():
        (key,) = given = _parse(name, value)
        assert f"``{name}``" in docs
        assert f"``{FLAGS[key]}``" in docs
        assert _parse(FLAGS[key], value) == given
    assert "``--standardize``" in docs


@pytest.mark.parametrize("preset", ["eeg-transformer", "eeg-transformer-2022"])
def test_presets_are_the_defaults_of_the_original(preset):
    options = _options(preset=preset)
    classifier = make_classifier(options, preset)
    assert make_steps(options, np.zeros((1, 1, 1))) == []
    kind = OriginalTransformerClassifier
    expected = kind().get_params() | {"early_stopping": True, "random_state": 0}
    for name, (value, *defaults) in ORIGINAL.items():
        (key,) = _parse(name, value)
        if defaults:
            default = defaults[0] if preset.endswith("2022") else defaults[-1]
            found = classifier.get_params().get(key, options[key])
            assert found == default, name
            expected[key] = found
    assert classifier.get_params() == {name: expected[name] for name in kind().get_params()}
    assert set(PRESETS[preset]) <= set(OPTIONS)


def test_every_option_of_network_and_training_reaches_the_classifier():
    defaults = EEGTransformerClassifier().get_params() | {"early_stopping": True, "random_state": 0}
    assert make_classifier(_options()).get_params() == defaults
    words = (
        "--n-groups", "2", "--n-heads", "6", "--n-filters", "3", "--drop-prob", "0.11",
        "--mirror", "a=b", "--adapt", "--max-epochs", "16", "--batch-size", "9", "--lr", "0.1",
        "--weight-decay", "0.13", "--class-weight", "balanced", "--validation-fraction", "0.4",
        "--patience", "7", "--seed", "5", "--device", "auto",
    )  # fmt: skip
    params = make_classifier(_options(*words)).get_params()
    expected = {
        "n_groups": 2, "n_heads": 6, "n_filters": 3, "drop_prob": 0.11, "mirror": {"a": "b"},
        "adapt": True, "max_epochs": 16, "batch_size": 9, "lr": 0.1, "weight_decay": 0.13,
        "class_weight": "balanced", "validation_fraction": 0.4, "n_iter_no_change": 7,
        "random_state": 5, "device": "auto", "early_stopping": True,
    }  # fmt: skip
    assert {name: params[name] for name in expected} == expected
    assert set(params) - set(expected) == {"callbacks", "positions", "sfreq", "verbose"}
    assert make_classifier(_options("--max-epochs", "auto")).max_epochs == "auto"
    assert not make_classifier(_options("--validation-fraction", "0")).early_stopping
    for words, value in {"auto": "auto", "none": None, "same": {}}.items():
        assert make_classifier(_options("--mirror", words)).mirror == value


def test_options_of_the_signal_make_the_steps(simulated):
    X = simulated[0]
    words = ["--drop", "Cz", "0", "--l-freq", "2", "--h-freq", "30", "--notch-freq", "20"]
    for preset, method in {"default": "iir", "eeg-transformer": "fir"}.items():
        assert dict(make_steps(_options(*words, preset=preset), X))["filter"].method == method
    words += ["--filter-method", "fir", "--resample", "80"]
    steps = dict(make_steps(_options(*words), X))
    assert list(steps) == ["drop", "notch", "filter", "resample"]
    assert steps["drop"].ch_names == ("Cz", X.ch_names[0])  # names and places
    assert (steps["filter"].l_freq, steps["filter"].h_freq) == (2, 30)
    assert steps["filter"].method == "fir"
    assert steps["notch"].fit(X).freqs_ == [20, 40, 60]  # harmonics, as the help says
    assert steps["resample"].sfreq == 80
    assert make_steps(_options("--h-freq", "none"), X) == []


def test_options_of_the_data(export):
    words = ["--conditions", "a", "b", "--stages", "2", "--subjects", "2-4", "--groups", "stage"]
    X, y, metadata = load_data(_options("--data", str(export), *words))
    assert describe(X, y, metadata) == {
        "n_epochs": 24, "n_chans": 4, "n_times": 64, "n_subjects": 1, "classes": {"a": 12, "b": 12},
    }  # fmt: skip
    assert set(metadata["subject"]) == {2}


def test_files_of_epochs(simulated, tmp_path, refused, monkeypatch):
    for home in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(home, str(tmp_path))
    X, y, metadata, _ = simulated
    X = X.copy().pick(["C3", "Cz", "C4", "Pz"])
    paths = []
    for subject, rows in metadata.groupby("subject").groups.items():
        part = X[rows]
        part.metadata = metadata.loc[rows].rename(columns={"subject": "who"})
        paths.append(str(tmp_path / f"sub-{subject}-epo.fif"))
        part.save(paths[-1], overwrite=True)
    arguments = ["train", *QUICK, "--output", "~/runs", "--data"]
    part.metadata = part.metadata.rename(columns={"who": "whom"})
    part.save(tmp_path / "other-epo.fif")
    part.metadata = None
    part.save(tmp_path / "nameless-epo.fif")
    mne.io.RawArray(part.get_data()[0], part.info).save(tmp_path / "one_raw.fif")
    np.save(tmp_path / "array.npy", part.get_data())
    for names, message in {
        "nameless-epo.fif": "The epochs have no metadata, which tell the subject of each",
        "one_raw.fif": "one_raw.fif is no file of Epochs. Cut a recording",
        "other-epo.fif": "--groups COLUMN names another",
        "array.npy": "array.npy is no file of Epochs. Cut a recording, or turn an array into",
        "sub-1-epo.fif other-epo.fif": "30 of 60 epochs have no 'who' in their metadata",
        "sub-1-epo.fif nameless-epo.fif": "nameless-epo.fif do not belong together: X is a list of",
    }.items():
        files = [tmp_path / name for name in names.split()]
        assert message in refused(*arguments, *files, "--groups", "who")
    assert main([*arguments, *paths, "--groups", "who", "--name", "fif", "--drop", "Pz"]) == 0
    run = tmp_path / "runs" / "fif"
    split = pd.read_csv(run / "split.csv")
    assert split["condition"].tolist() == y.tolist()
    assert split["subject"].tolist() == metadata["subject"].tolist()
    assert load_model(run / "model.safetensors")[-1].ch_names_ == ["C3", "Cz", "C4"]


def test_recordings(recorded_subjects):
    words = ["--task", "fist-imagination", "--subjects", "1,2", "--window", "1"]
    told = describe(*load_data(_options(*words)))
    assert (told["n_times"], told["n_subjects"]) == (160, 2)
    words = ["--task", "fist-imagination", "baseline-eyes", "--subjects", "1"]
    words += ["--conditions", "left-fist-imag", "eyes-open"]
    X, y, metadata = load_data(_options(*words))
    assert sorted(set(y)) == ["eyes-open", "left-fist-imag"]
    assert len(X) == len(y) == len(metadata)
    assert X.get_data().shape[-1] == 320


def test_choices_are_those_of_the_package():
    """They stand in the command line once more, so that its help need not load torch."""
    assert OPTIONS["shuffle_tokens"].choices == SHUFFLES
    assert tuple(METHODS) == explain.METHODS
    kinds = (EEGTransformerClassifier, OriginalTransformerClassifier)
    ours, theirs = (set(kind().get_params()) for kind in kinds)
    only = {(1, 0): "default", (0, 1): "eeg-transformer", (1, 1): None}
    for name in set(OPTIONS) & (ours | theirs):
        assert NETWORKS.get(name) == only[name in ours, name in theirs], name


def test_files_of_options(tmp_path):
    config = tmp_path / "options.yaml"
    config.write_text("task: fist-imagination\nn_heads: 16\nh_freq: none\nsubjects: [1-2, 3]\n")
    options = resolve({"n_heads": 8}, read_options(config)[0], "default")
    assert options["task"] == ["fist-imagination"]
    assert (options["n_heads"], options["h_freq"], options["lr"]) == (8, None, None)
    assert options["subjects"] == [1, 2, 3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "Say what to train on: --data FILE for an export"),
        ("--data a.dat --task fist-motion", "not both"),
        ("--task fist-motion --stages 3", "--stages belongs to an export"),
        ("--task fist-motion --window 0", "--window 0.0 is no length"),
        ("--data a.dat b.dat", "--data names 2 files; take one export"),
        ("--data bare-a.dat", "write_memmap(*load_memmap("),
        ("--data half-epo.fif", "half-epo.fif cannot be read as Epochs"),
        ("--data a-epo.fif a-epo.fif", "a-epo.fif more than once"),
        ("EXPORT --output EXPORT", "is a file; name a folder"),
        ("EXPORT --conditions a", "There are only epochs of 'a'"),
        ("EXPORT --conditions up", "no condition 'up'"),
        ("EXPORT --n-heads 0", "--n-heads 0 has to be a whole number"),
        ("EXPORT --max-epochs x", "'x' is no whole number"),
        ("EXPORT --mirror left", "--mirror left is none of auto"),
        ("EXPORT --drop 9", "--drop 9: there is no such channel; they are, from 0 to 3, C3, Cz"),
        ("EXPORT --num-tokens 2", "--n-time-tokens is an option of --preset eeg-transformer"),
        ("EXPORT --subjects 2", "holds out whole subjects, but there is only one; pass 0"),
        ("EXPORT --name a/b", "'a/b' is no name of a folder"),
        ("--resume nowhere", "There is no run"),
        ("--resume .", "is no run of skeegformer train"),
        ("--resume . --lr 1", "leave out --lr"),
        ("yaml: - a", "has to hold lines"),
        ("yaml: a: [", "cannot be read as YAML"),
        ("yaml: lr: 0.1\nlr: 0.2", "'lr' is given twice"),
        ("yaml: seed: 1\nrandom_state: 2", "gives one option by several names: seed, random_state"),
        ("yaml: data: !!python/object/apply:os.system [x]", "cannot be read as YAML"),
        ("yaml: max_epoch: 3", "is no option; there are data"),
        ("yaml: adapt: 'no'", "adapt is 'no'; write true or false"),
        ("yaml: max_epochs: {a: 1}", "is no whole number"),
        ("yaml: subjects: abc", "'abc' is not a list"),
        ("yaml: lr: 2001-99-99", "o.yaml cannot be read as YAML"),
        (f"yaml: {'[' * 3000}", "o.yaml cannot be read as YAML"),
        *((f"yaml: {{preset: {one}, options: {{}}}}", "is not one of 'default'") for one in "5a"),
    ],
)
def test_wrong_input_is_a_sentence(arguments, message, export, tmp_path, monkeypatch, refused):
    monkeypatch.chdir(tmp_path)
    Path("bare-a.dat").touch()  # as eeg-transformer writes it
    Path("half-epo.fif").write_bytes(b"half")
    Path("o.yaml").write_text(arguments.removeprefix("yaml: "))
    words = "--config o.yaml" if arguments.startswith("yaml") else arguments
    words = words.replace("output EXPORT", f"output {export}").replace("EXPORT", f"--data {export}")
    assert message in refused("train", *words.split())
    assert not list(tmp_path.glob("runs/*"))


def test_changed_data_are_noticed(trained, export, tmp_path, refused):
    run, _ = trained
    (tmp_path / "run").mkdir()
    for before, after, words in (
        (",a,", ",b,", "the data have changed since the run was started"),
        (",validation", ",val", "the part 'val' is neither"),
        ("validation_fraction: ", "validation_fraction: 0 #", "holds out other epochs than"),
    ):
        for name in ("config.yaml", "split.csv"):
            text = (run / name).read_text()
            (tmp_path / "run" / name).write_text(text.replace(before, after))
        assert words in refused("train", "--resume", tmp_path / "run")
