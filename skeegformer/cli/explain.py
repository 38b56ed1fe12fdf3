"""``skeegformer explain``: what the models of training runs look at, use or need."""

import argparse
import glob
import re
from pathlib import Path

import numpy as np

from skeegformer.cli import _lightning as lightning
from skeegformer.cli import _run_folder as folder
from skeegformer.cli._arguments import count, draw_into_files, name_flags
from skeegformer.cli._files import claim_folder, write_figure, write_table
from skeegformer.cli._options import Option, add_options
from skeegformer.cli._train_options import check_options, resolve
from skeegformer.cli._training_data import in_file, load_data

_METHODS = ("rollout", "gradient-rollout", "integrated-gradients", "occlusion", "permutation")
_DESCRIPTION = """\
Explain the predictions of trained models, run by run, for the epochs that were held out. A RUN is
a folder of `skeegformer train`, or a folder (lightning_logs/version_0) or checkpoint (*.ckpt) of
eeg-transformer. Written are, to RUN/explanation, the explanation, tables, a map and a report.
"""
_EPILOG = """\
methods:
  rollout                where the model looks: what the class token takes from each channel
  gradient-rollout,      what it uses: how channels move the output
  integrated-gradients
  occlusion,             what it needs: what is lost without a channel
  permutation

examples:
  skeegformer explain runs/baseline-eyes
  skeegformer explain runs/fold-* --method gradient-rollout --target true --output maps
  skeegformer explain lightning_logs/version_0 --ch-names eegmmi --convention eeg-transformer \\
      --head-fusion max

Exit code: 0 when all went well, 2 when the input was at fault.
"""
_EXPLAINER = [
    Option("method", "see below", default="rollout", choices=_METHODS),
    Option("target", "class that is explained: predicted, true, or its name", default="predicted"),
    Option("parts", "what channels are divided into", default="time", choices=("time", "band")),
    Option("head_fusion", "how heads are fused", default="mean", choices=("mean", "max", "min")),
    Option(
        "convention",
        "how rollout multiplies layers; eeg-transformer: without residual, the last layer first",
        default="abnar-zuidema",
        choices=("abnar-zuidema", "eeg-transformer"),
    ),
    Option("neighbors", "take neighbouring electrodes away as well", type=bool, default=False),
    Option("connections", "keep how channels belong together", type=bool, default=False),
    Option("random_state", "seed of permutations", type=int, default=0, flag="--seed"),
]
_OPTIONS = [
    Option(
        "part",
        "which epochs to explain (default: those held out; all of --data, or if none were)",
        choices=("validation", "training", "all"),
    ),
    Option("data", "another export to explain, in place of the run's data"),
    Option("ch_names", "if a run does not know them: C3,Cz,C4, a file of names, or eegmmi"),
    Option("sfreq", "sampling rate in Hz, if a run does not know it", "--sample-rate", float),
    Option("correct_only", "leave out wrong predictions", type=bool, default=False),
    Option("min_confidence", "least probability of a prediction", type=float, default=0.0),
    Option("evaluate", "put the map to the test, for minutes", type=bool, default=False),
    Option(
        "output", "folder for several runs together", None, Path, Path("skeegformer-explanation")
    ),
    Option("overwrite", "replace files that are there already", type=bool, default=False),
]


def add_parser(commands):
    """Describe the command's arguments.

    Parameters
    ----------
    commands : argparse subparsers
        Where to add them.
    """
    parser = commands.add_parser(
        "explain",
        help="draw what trained models look at, and write it down",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="one or many; patterns are resolved")
    add_options(parser, [*_EXPLAINER, *_OPTIONS])
    parser.set_defaults(run=_run)


def _run(args):
    draw_into_files()
    try:
        return _explain_all(args)
    except ValueError as error:
        flags = {option.name: option.flags[0] for option in [*_EXPLAINER, *_OPTIONS]}
        raise ValueError(name_flags(str(error), flags)) from error


def _explain_all(args):
    import pandas as pd

    from skeegformer import AttentionExplainer, concatenate_explanations

    parameters = {option.name: getattr(args, option.name) for option in _EXPLAINER}
    residual = args.convention == "abnar-zuidema"
    explainer = AttentionExplainer(**parameters, residual=residual)
    explainer._check_parameters()
    if not 0 <= args.min_confidence <= 1:
        raise ValueError(f"--min-confidence {args.min_confidence} is no probability from 0 to 1.")
    models = {run: _load(run) for run in _find(args.runs)}
    _refuse_different(models)
    folders = {
        run: (run if run.is_dir() else lightning.run_of(run)) / "explanation" for run in models
    }
    for path in (*folders.values(), *([args.output] if len(models) > 1 else [])):
        _claim(path, args.method, args.overwrite)
    found = []
    for run, model in models.items():
        explanation, epochs = _explain(run, model, explainer, args)
        faithfulness = None
        if args.evaluate:
            print("Putting it to the test ...", flush=True)
            faithfulness = explanation.evaluate(random_state=args.random_state)
            print(faithfulness)
        _write(folders[run], explanation, epochs, faithfulness, f"{run.name}: {args.method}", args)
        found.append((explanation, epochs.assign(run_folder=str(run))))
    if len(found) > 1:
        joined = concatenate_explanations([explanation for explanation, _ in found])
        epochs = pd.concat([table for _, table in found], ignore_index=True)
        _write(args.output, joined, epochs, None, f"{len(found)} runs: {args.method}", args)
    return 0


def _find(patterns):
    """List the runs that are meant; a shell resolves patterns itself, unless quoted."""
    paths = []
    for pattern in patterns:
        # Path.glob takes no pattern that begins at the root.
        matches = sorted(glob.glob(pattern)) if re.search(r"[*?\[]", pattern) else [pattern]  # noqa: PTH207
        runs = [Path(match) for match in matches]
        runs = [run for run in runs if run.is_dir() or (run.is_file() and run.suffix == ".ckpt")]
        if not runs:
            raise ValueError(f"There is no run {pattern}: no such folder.")
        paths += runs
    return list(dict.fromkeys(paths))


def _load(run):
    """Load the model of a run, ours or eeg-transformer's."""
    from skeegformer.io import load_model

    checkpoint = None if (run / folder.CONFIG).is_file() else lightning.find_checkpoint(run)
    if checkpoint is not None:
        return load_model(checkpoint)
    folder.open_run(run)
    if not (run / folder.MODEL).is_file():
        raise ValueError(
            f"{run} has no model yet; finish it first: skeegformer train --resume {run}"
        )
    return load_model(run / folder.MODEL)


def _classifier(model):
    return model[-1] if hasattr(model, "steps") else model


def _refuse_different(models):
    """Refuse runs whose explanations cannot be joined, before anything is computed."""
    first = None
    for run, model in models.items():
        classifier = _classifier(model)
        kind = {
            "networks": type(classifier).__name__,
            "channels": classifier.ch_names_ or classifier.n_chans_,
            "classes": classifier.classes_.tolist(),
            "numbers of temporal tokens": getattr(classifier, "n_time_tokens", None),
            "numbers of samples": classifier.n_times_,
        }
        first = first or (run, kind)
        for name, value in kind.items():
            if value != first[1][name]:
                raise ValueError(
                    f"{first[0]} and {run} have different {name}, and cannot be joined; explain "
                    "them one by one."
                )


def _names(method):
    return {
        "explanation": f"{method}.safetensors",
        "epochs": f"{method}-epochs.csv",
        "channels": f"{method}-channels.csv",
        "map": f"{method}-topomap.png",
        "bars": f"{method}-bars.png",
        "report": f"{method}-report.html",
    }


def _claim(path, method, overwrite):
    """Make a folder before anything is computed, and refuse to replace what is in it."""
    claim_folder(path)
    taken = [name for name in _names(method).values() if (path / name).exists()]
    if taken and not overwrite:
        raise ValueError(
            f"{path / taken[0]} exists already; pass --overwrite to replace it and the files "
            "beside it."
        )


def _explain(run, model, explainer, args):
    """Explain one run; gives the explanation and a table of its epochs."""
    if hasattr(model, "original_"):
        names = args.data, args.ch_names, args.sfreq
        read, y, metadata, info = lightning.load_original_data(model, *names)
    else:
        read, y, metadata, info = _load_data(run, model, args)
    chosen = _choose(run, model, y, metadata, args)
    y, metadata = y[chosen], metadata.iloc[chosen].reset_index(drop=True)
    subjects = metadata["subject"].to_numpy()
    explanation = explainer.explain(model, read(chosen), y, groups=subjects, info=info)
    table = metadata.assign(
        epoch=chosen,
        condition=y,
        prediction=explanation.predictions,
        confidence=explanation.confidences,
    )
    kept = explanation.confidences >= args.min_confidence
    if args.correct_only:
        kept &= explanation.predictions == y
    if not kept.any():
        raise ValueError(
            f"None of {len(y)} epochs of {run} is left with --min-confidence "
            f"{args.min_confidence}{' and --correct-only' if args.correct_only else ''}."
        )
    accuracy = float(np.mean(explanation.predictions == y))
    n_subjects = len(np.unique(subjects[kept]))
    print(
        f"{run}: {int(kept.sum())} epochs of {count(n_subjects, 'subject')}, accuracy of all "
        f"{len(y)} {accuracy:.3f}",
        flush=True,
    )
    return explanation.select(np.flatnonzero(kept)), table[kept].reset_index(drop=True)


def _load_data(run, model, args):
    """Load the epochs of one of our runs, or others, and find out the channels of its network."""
    import mne

    config = folder.open_run(run)
    options = check_options(config["options"], run / folder.CONFIG)
    options = resolve({}, options, config.get("preset", "default"))
    if args.data:
        options |= {"data": [args.data], "task": None, "labels": None, "subjects": None}
    options |= {name: getattr(args, name) for name in ("ch_names", "sfreq") if getattr(args, name)}
    X, y, metadata = load_data(options)
    if not in_file(X):
        return X.__getitem__, y, metadata, None
    if X.info is not None and _classifier(model).ch_names_ is not None:

        def read(rows):
            return X[rows].to_epochs(metadata.iloc[rows].reset_index(drop=True))

        return read, y, metadata, None
    # Names that the training did not know are those of the channels that were kept.
    kept = model["drop"].kept_channels_ if "drop" in getattr(model, "named_steps", ()) else None
    info = X.info if X.info is None or kept is None else mne.pick_info(X.info, kept)
    return lambda rows: X[rows].load(), y, metadata, info


def _choose(run, model, y, metadata, args):
    """Choose the epochs to explain."""
    part = args.part
    if part == "all" or (part is None and args.data):
        return np.arange(len(y))
    if hasattr(model, "original_"):
        home = run if run.is_dir() else lightning.run_of(run)
        held_out = lightning.read_held_out(home, metadata["subject"].to_numpy())
    else:
        held_out = folder.read_split(run, y, metadata)
    if part is None and not held_out.any():
        return np.arange(len(y))
    chosen = np.flatnonzero(held_out == (part != "training"))
    if not len(chosen):
        raise ValueError(f"{run} held out no epochs; pass --part all.")
    return chosen


def _write(path, explanation, epochs, faithfulness, title, args):
    """Write all files of an explanation, and print the channels that stand out."""
    import matplotlib.pyplot as plt
    import pandas as pd

    files = {key: path / name for key, name in _names(args.method).items()}
    channels = explanation.channel_names
    values = pd.DataFrame(explanation.values, columns=channels)
    means = values.groupby(epochs["condition"].astype(str)).mean().T
    means.insert(0, "all", values.mean())
    write_table(files["channels"], means.rename_axis("channel").reset_index())
    front = [name for name in ("run_folder", "epoch", "subject") if name in epochs]
    epochs = epochs[[*front, *(name for name in epochs if name not in front)]]
    write_table(files["epochs"], pd.concat([epochs, values], axis=1))
    explanation.save(files["explanation"], overwrite=args.overwrite)
    for key in ("map", "bars"):  # of an earlier explanation there may be the other one
        files[key].unlink(missing_ok=True)
    if explanation.info is not None and explanation.positions is not None:
        figure, display = files["map"], explanation.plot_topomap(by="class")
    else:
        figure, display = files["bars"], explanation.plot_bars()
    write_figure(figure, display.figure_)
    explanation.to_report(
        files["report"], title=title, faithfulness=faithfulness, overwrite=args.overwrite
    )
    plt.close("all")
    top = means["all"].sort_values(ascending=False).index[:5]
    is_map = figure == files["map"]
    what = "The map is" if is_map else "Without positions there is no map, but bars:"
    print(f"  most on {', '.join(top)}. {what} {figure}")
    others = [file.name for key, file in files.items() if key not in ("map", "bars")]
    print(f"  Beside it: {', '.join(others)}")
