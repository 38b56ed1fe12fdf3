"""``skeegformer train``: from an export or recordings to a model, and on after an interruption."""

import argparse
import os
import shutil
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from skeegformer._memmap import MappedEpochs
from skeegformer.cli._arguments import count
from skeegformer.cli._run_folder import RunFolder, read_yaml
from skeegformer.cli._train_options import OPTIONS, ORIGINAL, PRESETS, add_options, resolve
from skeegformer.cli._training_data import check_data_options, load_training_data, name_data

_DESCRIPTION = """\
Train the transformer on an export of `skeegformer download`, which stays on disk, or on recordings
of PhysioNet's EEG Motor Movement/Imagery Dataset (EEGMMI). Subjects are held out, on whose loss
training stops, and everything about the run is kept in a folder of its own.
"""
_EPILOG = """\
files of a run, in DIR/NAME:
  config.yaml         all options, the data in numbers, and versions; can be given to --config
  split.csv           which epochs trained and which validated
  model.safetensors   filters and network, for load_model
  history.csv         loss, accuracy and learning rate of each pass
  scores.csv          balanced accuracy of each subject, in training and in validation
  curves.png, confusion.png
  tensorboard/        with --tensorboard
  training.safetensors  only until the training ends: what --resume goes on from

examples:
  skeegformer train --task baseline-eyes --subjects 1-8
  skeegformer train --data exports/raw-nsamp_1440-eplen_320-baseline-eyes.dat --drop T9 T10 Iz
  skeegformer train --task fist-motion fist-imagination --conditions left-fist-imag right-fist-imag
  skeegformer train --preset eeg-transformer --data raw-nsamp_1440-eplen_320-mine.dat --name mine
  skeegformer train --config runs/mine/config.yaml --lr 3e-4
  skeegformer train --resume runs/mine

Options have the names of eeg-transformer as well. Exit code: 0 when all went well, 2 when the input
was at fault, 130 after Ctrl-C.
"""


def add_parser(commands):
    """Describe the command's arguments.

    Parameters
    ----------
    commands : argparse subparsers
        Where to add them.
    """
    parser = commands.add_parser(
        "train",
        help="train a model, keep everything about it in a folder, and resume",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    run = parser.add_argument_group("run")
    run.add_argument(
        "--output",
        type=Path,
        default=Path("runs"),
        metavar="DIR",
        help="where runs are kept (default: runs)",
    )
    run.add_argument(
        "--name",
        metavar="NAME",
        help="folder of the run in DIR (default: after the data); where it is taken, NAME-2 and "
        "so on, so that nothing is overwritten",
    )
    run.add_argument(
        "--resume",
        type=Path,
        metavar="RUN",
        help="go on with an interrupted run, with all its options; it ends with the weights that "
        "it would have had without the interruption",
    )
    run.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="YAML file of options such as 'n_heads: 20', or config.yaml of another run; the "
        "command line comes first",
    )
    run.add_argument(
        "--preset",
        choices=tuple(PRESETS),
        default="default",
        help="eeg-transformer: the network and training of its own script (default: default)",
    )
    run.add_argument(
        "--tensorboard",
        action="store_true",
        help="write logs for TensorBoard too (pip install 'skeegformer[train]')",
    )
    run.add_argument("--quiet", action="store_true", help="no progress bar")
    add_options(parser)
    parser.set_defaults(run=_run)


def _run(args):
    # In the environment, before MNE is imported.
    os.environ.setdefault("MNE_LOGGING_LEVEL", "ERROR")
    import matplotlib

    matplotlib.use("Agg")
    given = {name: value for name, value in vars(args).items() if name in OPTIONS}
    if args.tensorboard:
        _need_tensorboard()
    if args.resume:
        return _resume(args, given)
    options = resolve(given, _read_options(args.config), args.preset)
    check_data_options(options)
    for name in ("data", "labels"):  # the run is found again from wherever it is asked for
        options[name] = options[name] and str(Path(options[name]).absolute())
    classifier = make_classifier(options, args.preset, verbose=not args.quiet)
    data = load_training_data(options)
    steps = make_steps(options)
    _tell_data(data)
    if options["validation_fraction"] and len(set(data.subjects.tolist())) < 2:
        raise ValueError(
            f"--validation-fraction {options['validation_fraction']} holds out whole subjects, but "
            "there is only one; pass 0 to train on all of it, or take more subjects."
        )
    held_out = classifier.held_out(data.y, data.subjects)
    run = RunFolder.create(args.output, args.name or name_data(options))
    try:
        run.write_split(data, held_out)
        run.write_config(_config(options, data, args.preset))
        return _train(run, data, steps, classifier, held_out, args)
    except (ValueError, OSError):
        if not run.state.exists():  # nothing has been learnt, and there is nothing to resume
            shutil.rmtree(run.path, ignore_errors=True)
        raise


def _resume(args, given):
    """Go on with a run."""
    others = sorted(set(given) - {"device"})
    if others or args.config or args.name or args.preset != "default":
        option = OPTIONS[others[0]].flags[0] if others else "--config, --name and --preset"
        raise ValueError(
            f"--resume goes on with the options that {args.resume} was started with; leave out "
            f"{option}."
        )
    run = RunFolder.open(args.resume)
    if run.is_finished:
        print(f"{run.path} is finished: {run.model} is there.")
        return 0
    config = run.read_config()
    options = resolve({}, config["options"], config["preset"]) | given
    classifier = make_classifier(options, config["preset"], verbose=not args.quiet)
    data = load_training_data(options)
    _tell_data(data)
    held_out = run.read_split(data)
    return _train(run, data, make_steps(options), classifier, held_out, args)


def _train(run, data, steps, classifier, held_out, args):
    """Train in a folder that is prepared."""
    from sklearn.pipeline import Pipeline

    from skeegformer import ResumableTraining
    from skeegformer.cli._training_log import TensorBoardLog, TrainingLog
    from skeegformer.io import save_model

    labels = sorted(set(data.y.tolist()))
    mirror = getattr(classifier, "mirror", None)
    if isinstance(mirror, dict):  # of words; labels may be numbers
        typed = {str(label): label for label in labels}
        mirror = {typed.get(a, a): typed.get(b, b) for a, b in mirror.items()}
        classifier.set_params(mirror=mirror)
    callbacks = [TrainingLog(run.history)]
    if args.tensorboard:
        callbacks.append(TensorBoardLog(run.tensorboard, labels))
    classifier.set_params(callbacks=[*callbacks, ResumableTraining(run.state)])
    out = f"held out are {_count(data, held_out)}" if held_out.any() else "nobody is held out"
    print(
        f"Training on {_count(data, ~held_out)}; {out}. The run is kept in {run.path}", flush=True
    )
    try:
        with _transformed(steps, data.X, run.path) as X:
            classifier.fit(X, data.y, data.subjects)
            classifier.set_params(callbacks=None)
            scores, matrices = _score(classifier, X, data, held_out, labels)
    except KeyboardInterrupt:
        print(f"\nTo go on: skeegformer train --resume {run.path}")
        raise
    _report(run, classifier, scores, matrices, labels)
    model = Pipeline([*steps, ("classifier", classifier)]) if steps else classifier
    save_model(model, run.model)  # the last file: with it the run is finished
    run.state.unlink(missing_ok=True)
    print(f"Wrote {run.model} and, beside it, {', '.join(_written(run))}")
    return 0


@contextmanager
def _transformed(steps, X, folder):
    """Fit the steps and apply them; epochs in a file are transformed in parts, into another."""
    if not steps:
        yield X
    elif isinstance(X, MappedEpochs):
        from sklearn.pipeline import Pipeline

        from skeegformer import load_memmap, write_memmap

        with TemporaryDirectory(prefix=".transformed-", dir=folder) as folder:
            steps = Pipeline(steps).fit(X[:1])
            path = write_memmap(X, [""] * len(X), None, folder, transformer=steps)
            yield load_memmap(path)[0]
    else:
        for _, step in steps:
            X = step.fit_transform(X)
        yield X


def _score(classifier, X, data, held_out, labels):
    """Score each subject, and count true and predicted classes, in training and validation."""
    import numpy as np
    import pandas as pd
    from sklearn.metrics import balanced_accuracy_score, confusion_matrix

    groups = {"groups": data.subjects} if getattr(classifier, "adapt", False) else {}
    predictions = classifier.predict(X, **groups)
    rows, matrices = [], {}
    for part, chosen in (("training", ~held_out), ("validation", held_out)):
        if not chosen.any():
            continue
        matrices[part] = confusion_matrix(data.y[chosen], predictions[chosen], labels=labels)
        for subject in pd.unique(data.subjects[chosen]):
            own = chosen & (data.subjects == subject)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a subject who has not all classes
                score = balanced_accuracy_score(data.y[own], predictions[own])
            rows.append(
                {
                    "part": part,
                    "subject": subject,
                    "n_epochs": int(own.sum()),
                    "balanced_accuracy": score,
                    "accuracy": float(np.mean(data.y[own] == predictions[own])),
                }
            )
    return pd.DataFrame(rows), matrices


def _report(run, classifier, scores, matrices, labels):
    """Write tables and figures, and print what came out."""
    from skeegformer import TrainingCurveDisplay
    from skeegformer.cli._training_log import draw_confusion, history_table

    history = history_table(classifier.history_)
    run.write_table("scores.csv", scores)
    display = TrainingCurveDisplay(history).plot()
    run.write_figure("curves.png", display.figure_)
    part = "validation" if "validation" in matrices else "training"
    run.write_figure("confusion.png", draw_confusion(matrices[part], labels, part))
    best = f", the best of them {display.best_}" if display.best_ else ""
    print(f"{len(history)} epochs of training{best}.")
    for name, table in scores.groupby("part", sort=False):
        values = table["balanced_accuracy"]
        spread = f" ± {values.std():.3f}" if len(values) > 1 else ""
        print(
            f"{name}: mean balanced accuracy of {count(len(values), 'subject')} "
            f"{values.mean():.3f}{spread}"
        )
    if "validation" in matrices:
        print("Training stopped by the loss of the subjects in validation: on others expect less.")


def _written(run):
    """Name the files of a run, but its model."""
    names = sorted(path.name for path in run.path.iterdir() if not path.name.startswith("."))
    return [name for name in names if not name.startswith("model.s")]


def make_steps(options):
    """Make the steps in front of the classifier.

    Parameters
    ----------
    options : dict
        Options of the run.

    Returns
    -------
    list of (str, transformer)
        Unfitted, as a Pipeline takes them; none where the options ask for nothing.
    """
    from skeegformer import BandPassFilter, ChannelDropper, NotchFilter, Resampler

    steps = []
    # Only an export of eeg-transformer needs to be told; others know their rate.
    sfreq = options["sfreq"]
    if options["drop"]:
        steps.append(("drop", ChannelDropper(tuple(options["drop"]))))
    if options["notch_freq"] is not None:
        steps.append(("notch", NotchFilter(options["notch_freq"], sfreq=sfreq)))
    if options["l_freq"] is not None or options["h_freq"] is not None:
        steps.append(("filter", BandPassFilter(options["l_freq"], options["h_freq"], sfreq=sfreq)))
    if options["resample"] is not None:
        steps.append(("resample", Resampler(options["resample"], input_sfreq=sfreq)))
    return steps


def make_classifier(options, preset="default", verbose=False):
    """Make the classifier.

    Parameters
    ----------
    options : dict
        Options of the run.
    preset : str, default="default"
        Which network: ours, or that of eeg-transformer.
    verbose : bool, default=False
        Whether it shows a progress bar.

    Returns
    -------
    EEGTransformerClassifier or OriginalTransformerClassifier
        Unfitted, with parameters that were checked.

    Raises
    ------
    ValueError
        If a parameter is out of its range.
    """
    from skeegformer import EEGTransformerClassifier, OriginalTransformerClassifier

    kind = OriginalTransformerClassifier if preset == ORIGINAL else EEGTransformerClassifier
    names = kind().get_params()
    params = {name: value for name, value in options.items() if name in names}
    params = {name: value for name, value in params.items() if value is not None}
    params |= {"sfreq": options["resample"] or options["sfreq"], "verbose": int(verbose)}
    if not params["validation_fraction"]:
        del params["validation_fraction"]
    params["early_stopping"] = "validation_fraction" in params
    if options["class_weight"] == "none":
        params["class_weight"] = None
    if "mirror" in params:
        params["mirror"] = _mirror(options["mirror"])
    classifier = kind(**params)
    classifier._check_parameters()
    return classifier


def _mirror(words):
    """Read how epochs are mirrored."""
    words = words if isinstance(words, list) else [words]
    if words in (["auto"], ["none"], ["same"]):
        return {"auto": "auto", "none": None, "same": {}}[words[0]]
    pairs = [word.split("=") for word in words]
    if not all(len(pair) == 2 and all(pair) for pair in pairs):
        raise ValueError(
            f"--mirror {' '.join(words)} is none of auto, none and same, and no pairs of labels "
            "such as left=right."
        )
    return dict(pairs)


def _read_options(path):
    """Read a file of options, which may be the configuration of another run."""
    if path is None:
        return {}
    content = read_yaml(path)
    return content["options"] if isinstance(content.get("options"), dict) else content


def _config(options, data, preset):
    from importlib.metadata import version

    packages = ("skeegformer", "torch", "skorch", "scikit-learn", "mne", "numpy")
    return {
        "command": "skeegformer train",
        "preset": preset,
        "options": options,
        "data": data.describe(),
        "versions": {
            "python": sys.version.split()[0],
            **{package: version(package) for package in packages},
        },
    }


def _tell_data(data):
    told = data.describe()
    counts = ", ".join(f"{n} {label}" for label, n in told["classes"].items())
    print(
        f"{told['n_epochs']} epochs of {count(told['n_subjects'], 'subject')}, "
        f"{told['n_chans']} channels, "
        f"{told['n_times']} samples ({counts})",
        flush=True,
    )


def _count(data, chosen):
    n_subjects = len(set(data.subjects[chosen].tolist()))
    return f"{int(chosen.sum())} epochs of {count(n_subjects, 'subject')}"


def _need_tensorboard():
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError as error:
        raise ValueError(
            "--tensorboard needs the package tensorboard: pip install 'skeegformer[train]'"
        ) from error
