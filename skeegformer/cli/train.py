"""``skeegformer train``: from an export or recordings to a model, and on after an interruption."""

import secrets
import shutil
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from skeegformer.cli import _run_folder as folder
from skeegformer.cli import _train_options
from skeegformer.cli import _training_data as data
from skeegformer.cli._arguments import count, expanded, name_flags
from skeegformer.cli._files import write_figure, write_table
from skeegformer.cli._model import make_classifier, make_steps
from skeegformer.cli._train_options import (
    FLAGS,
    OPTIONS,
    ORIGINAL,
    PRESETS,
    check_options,
    read_options,
    resolve,
)

HELP = "train a model and save the run in a folder, or resume a run"
DESCRIPTION = """\
Train the transformer on an export of `skeegformer download`, on MNE Epochs (*-epo.fif), or on
recordings of PhysioNet's EEG Motor Movement/Imagery Dataset (EEGMMI). Training stops when the loss
on held-out subjects no longer decreases. Each run is saved in a separate folder.
"""
EPILOG = """\
examples:
  skeegformer train --task baseline-eyes --subjects 1-8
  skeegformer train --data exports/raw-nsamp_1440-eplen_320-baseline-eyes.dat --drop T9 T10 Iz
  skeegformer train --data sub-*-epo.fif --groups participant
  skeegformer train --preset eeg-transformer --task fist-motion --name original
  skeegformer train --config runs/mine/config.yaml --lr 3e-4
  skeegformer train --resume runs/mine

The option names of eeg-transformer are also accepted. Exit codes: 0 for success, 2 for invalid
input, 130 after Ctrl-C.
"""


def add_options(parser):
    """Add the options of this command."""
    add = parser.add_argument_group("run").add_argument
    add("--output", type=expanded, default=Path("runs"), help="folder of runs (default: runs)")
    add("--name", help="folder of this run (default: from the data); NAME-2 if NAME exists")
    add("--resume", type=expanded, help="folder of an interrupted run, to resume with its options")
    add("--config", type=expanded, help="YAML file of options, or config.yaml of another run")
    add(
        "--preset",
        choices=tuple(PRESETS),
        help="eeg-transformer: its network and training, without filters; -2022: defaults from "
        "before 7 November 2022 (default: from --config, or default)",
    )
    add("--standardize", help="no effect; accepted for compatibility with eeg-transformer")
    add("--tensorboard", action="store_true", help="also write TensorBoard logs")
    add("--quiet", action="store_true", help="do not print the table of losses")
    _train_options.add_options(parser)


def run(args):
    """Run the command."""
    if args.tensorboard and find_spec("tensorboard") is None:
        raise ValueError(
            "--tensorboard needs the package tensorboard: pip install 'skeegformer[train]'"
        )
    given = {name: value for name, value in vars(args).items() if name in OPTIONS}
    try:
        return _resume(args, given) if args.resume else _begin(args, given)
    except ValueError as error:
        message = str(error).replace("early_stopping=False", "--validation-fraction 0")
        raise ValueError(name_flags(message, FLAGS)) from error


def _begin(args, given):
    """Begin a run."""
    from skeegformer.io._format import versions

    from_file, preset = read_options(args.config) if args.config else ({}, None)
    preset = args.preset or preset or "default"
    options = resolve(given, from_file, preset)
    data.check_data_options(options)
    # The run is found again from wherever it is asked for.
    if options["data"]:
        options["data"] = [str(Path(one).expanduser().absolute()) for one in options["data"]]
    if options["random_state"] is None:
        options["random_state"] = secrets.randbelow(2**31)
    make_classifier(options, preset)  # refuses what is out of range before anything is loaded
    X, y, metadata = data.load_data(options)
    steps = make_steps(options, X)
    if options["validation_fraction"] and metadata["subject"].nunique() < 2:
        raise ValueError(
            f"--validation-fraction {options['validation_fraction']} holds out whole subjects, but "
            "there is only one; pass 0 to train on all of it, or take more subjects."
        )
    classifier = make_classifier(options, preset, not args.quiet, set(y.tolist()))
    held_out = classifier.held_out(y, metadata["subject"].to_numpy())
    theirs = {flag for option in OPTIONS.values() for flag in option.flags[1:]}
    if preset == "default" and theirs.intersection(word.split("=")[0] for word in args.words):
        print(f"To train as eeg-transformer does, without filters, add --preset {ORIGINAL}.")
    data.tell(X, y, metadata)
    after_data = "-".join(options["task"] or [Path(options["data"][0]).stem.removeprefix("raw-")])
    run = folder.create_run(args.output, args.name or after_data or "run")
    config = {
        "command": "skeegformer train",
        "preset": preset,
        "options": options,
        "data": data.describe(X, y, metadata),
        "versions": versions(),
    }
    try:
        folder.write_split(run, y, metadata, held_out)
        folder.write_config(run, config)
        return _train(run, X, y, metadata, steps, classifier, held_out, args.tensorboard)
    except (ValueError, OSError):
        if not (run / folder.STATE).exists():  # nothing has been learnt that could be resumed
            shutil.rmtree(run, ignore_errors=True)
        raise


def _resume(args, given):
    """Go on with a run."""
    others = [FLAGS[name] for name in sorted(set(given) - {"device"})]
    others += [f"--{name}" for name in ("config", "name", "preset") if getattr(args, name)]
    if others:
        raise ValueError(
            f"--resume goes on with the options that {args.resume} was started with; leave out "
            f"{others[0]}."
        )
    run = args.resume
    config = folder.open_run(run)
    if (run / folder.MODEL).is_file():
        print(f"{run} is finished: {run / folder.MODEL} is there.")
        return 0
    preset = config.get("preset", "default")
    options = resolve(given, check_options(config["options"], run / folder.CONFIG), preset)
    data.check_data_options(options)
    X, y, metadata = data.load_data(options)
    steps = make_steps(options, X)
    classifier = make_classifier(options, preset, not args.quiet, set(y.tolist()))
    data.tell(X, y, metadata)
    held_out = folder.read_split(run, y, metadata)
    if (held_out != classifier.held_out(y, metadata["subject"].to_numpy())).any():
        raise ValueError(
            f"{run / folder.SPLIT} holds out other epochs than the options of {folder.CONFIG} do: "
            "one of them was changed since the run was started."
        )
    tensorboard = args.tensorboard or (run / folder.TENSORBOARD).is_dir()
    return _train(run, X, y, metadata, steps, classifier, held_out, tensorboard)


def _train(run, X, y, metadata, steps, classifier, held_out, tensorboard):
    """Train in a folder that is prepared."""
    from sklearn.pipeline import Pipeline

    from skeegformer import ResumableTraining
    from skeegformer.cli._training_log import TrainingLog
    from skeegformer.io import save_model

    subjects = metadata["subject"].to_numpy()
    tensorboard = run / folder.TENSORBOARD if tensorboard else None
    if tensorboard:
        tensorboard.mkdir(exist_ok=True)  # by which --resume knows
    log = TrainingLog(run / folder.HISTORY, tensorboard)
    classifier.set_params(callbacks=[log, ResumableTraining(run / folder.STATE)])
    out = "nobody is held out"
    if held_out.any():
        out = f"held out are {_count(subjects[held_out])}"
    print(f"Training on {_count(subjects[~held_out])}; {out}. The run is kept in {run}", flush=True)
    try:
        with _transformed(steps, X, run / folder.FILTERED) as X:
            classifier.fit(X, y, subjects)
            classifier.set_params(callbacks=None)
            print(f"Scoring {count(len(y), 'epoch')} ...", flush=True)
            groups = {"groups": subjects} if getattr(classifier, "adapt", False) else {}
            predictions = classifier.predict(X, **groups)
    except KeyboardInterrupt:
        print(f"\nTo go on: skeegformer train --resume {run}")
        raise
    _report(run, classifier, y, predictions, subjects, held_out)
    model = Pipeline([*steps, ("classifier", classifier)]) if steps else classifier
    path = save_model(model, run / folder.MODEL)  # the last file: with it the run is finished
    (run / folder.STATE).unlink(missing_ok=True)
    others = sorted(file.name for file in run.iterdir() if file != path)
    print(f"Wrote {path} and, beside it, {', '.join(others)}")
    return 0


@contextmanager
def _transformed(steps, X, copy):
    """Fit the steps and apply them; epochs in a file are transformed in parts, into a copy."""
    if not steps:
        yield X
    elif data.in_file(X):
        from sklearn.pipeline import Pipeline

        from skeegformer.datasets.memmap import load_memmap, write_transformed

        print(f"Filtering {count(len(X), 'epoch')} ...", flush=True)
        shutil.rmtree(copy, ignore_errors=True)
        try:
            steps = Pipeline(steps).fit(X[:1])
            yield load_memmap(write_transformed(X, steps, copy))[0]
        finally:
            shutil.rmtree(copy, ignore_errors=True)
    else:
        for _, step in steps:
            X = step.fit_transform(X)
        yield X


def _report(run, classifier, y, predictions, subjects, held_out):
    """Write and print scores of each subject, and draw figures."""
    import matplotlib.pyplot as plt
    import numpy as np
    import pandas as pd
    from sklearn.metrics import ConfusionMatrixDisplay

    from skeegformer.cli._training_log import history_table

    history = history_table(classifier.history_)
    losses = [name for name in ("train_loss", "valid_loss") if name in history]
    ax = history.plot("epoch", losses, xlabel="epoch of training", ylabel="loss", marker=".")
    best = ""
    if "valid_loss" in history:
        epoch = history["epoch"][history["valid_loss"].idxmin()]
        ax.axvline(epoch, color="0.6", linestyle=":", label=f"best, epoch {epoch}")
        best = f", the best of them {epoch}"
    ax.legend()
    write_figure(run / "curves.png", ax.figure)
    print(f"{len(history)} epochs of training{best}.")
    part = np.where(held_out, "validation", "training")
    table = pd.DataFrame({"part": part, "subject": subjects, "y": y, "right": y == predictions})
    by_subject = table.groupby(["part", "subject"], sort=False)["right"]
    recalls = table.groupby(["part", "subject", "y"], sort=False)["right"].mean()
    scores = pd.DataFrame(
        {
            "n_epochs": by_subject.size(),
            "balanced_accuracy": recalls.groupby(["part", "subject"], sort=False).mean(),
            "accuracy": by_subject.mean(),
        }
    ).reset_index()
    write_table(run / "scores.csv", scores)
    for name, values in scores.groupby("part")["balanced_accuracy"]:
        spread = f" ± {values.std():.3f}" if len(values) > 1 else ""
        print(
            f"{name}: mean balanced accuracy of {count(len(values), 'subject')} "
            f"{values.mean():.3f}{spread}"
        )
    if held_out.any():
        print("The loss of the subjects in validation chose the weights: on others expect less.")
    shown = held_out if held_out.any() else ~held_out
    display = ConfusionMatrixDisplay.from_predictions(
        y[shown],
        predictions[shown],
        ax=plt.subplots(layout="constrained")[1],
        normalize="true",
        values_format=".2f",
        cmap="Blues",
        im_kw={"vmin": 0, "vmax": 1},
    )
    display.ax_.set_title(f"{count(int(shown.sum()), 'epoch')} in {part[shown][0]}")
    write_figure(run / "confusion.png", display.figure_)


def _count(subjects):
    return f"{len(subjects)} epochs of {count(len(set(subjects.tolist())), 'subject')}"
