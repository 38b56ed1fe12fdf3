"""``skeegformer explain``: what the models of training runs look at, use or need."""

import argparse
import glob
import os
import re
from pathlib import Path

import numpy as np

from skeegformer._memmap import MappedEpochs
from skeegformer._utils.files import replacing
from skeegformer.cli._arguments import count
from skeegformer.cli._files import claim_folder
from skeegformer.cli._run_folder import RunFolder
from skeegformer.cli._training_data import load_training_data

_METHODS = (
    "rollout",
    "gradient-rollout",
    "integrated-gradients",
    "occlusion",
    "permutation",
)
_DESCRIPTION = """\
Explain the predictions of trained models, run by run, for the epochs that were held out.
"""
_EPILOG = """\
methods:
  rollout                where the model looks: what the class token takes from each channel
  gradient-rollout,      what it uses: how channels move the output
  integrated-gradients
  occlusion,             what it needs: what is lost without a channel
  permutation

files in RUN/explanation, and of all runs together in DIR where there are several:
  METHOD.safetensors     the explanation; Explanation.load reads it
  METHOD-epochs.csv      a row for each epoch: subject, condition, prediction, confidence, and the
                         value of every channel
  METHOD-channels.csv    the mean of every channel, over all epochs and in each condition
  METHOD-topomap.png     a map for each condition; bars where electrodes have no positions
  METHOD-report.html     all of it on a page, with scores and versions; with --evaluate also how
                         far the map can be trusted

examples:
  skeegformer explain runs/baseline-eyes
  skeegformer explain runs/fold-* --method gradient-rollout --target true --output maps
  skeegformer explain runs/mine --method rollout --convention eeg-transformer --head-fusion max

Exit code: 0 when all went well, 2 when the input was at fault.
"""


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
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="folders of skeegformer train; patterns are resolved"
    )
    parser.add_argument(
        "--method", choices=_METHODS, default="rollout", help="see below (default: %(default)s)"
    )
    parser.add_argument(
        "--part",
        choices=("validation", "training", "all"),
        help="which epochs to explain (default: those held out; all where none were)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FILE",
        help="another export to explain, all of its epochs, in place of the run's data",
    )
    parser.add_argument(
        "--target",
        default="predicted",
        metavar="CLASS",
        help="class whose log odds are explained: predicted, true, or a condition (default: "
        "%(default)s)",
    )
    parser.add_argument(
        "--parts",
        choices=("time", "band"),
        default="time",
        help="what a channel's value is divided into (default: %(default)s)",
    )
    parser.add_argument(
        "--head-fusion",
        choices=("mean", "max", "min"),
        default="mean",
        help="how attention heads are fused (default: %(default)s)",
    )
    parser.add_argument(
        "--convention",
        choices=("abnar-zuidema", "eeg-transformer"),
        default="abnar-zuidema",
        help="how rollout multiplies the layers; eeg-transformer gives the numbers of its "
        "attention.py, which has no residual and another order (default: %(default)s)",
    )
    parser.add_argument(
        "--neighbors",
        action="store_true",
        help="occlusion and permutation take neighbouring electrodes away as well",
    )
    parser.add_argument(
        "--correct-only", action="store_true", help="leave out epochs that are predicted wrongly"
    )
    parser.add_argument(
        "--min-confidence",
        type=float,
        default=0.0,
        metavar="P",
        help="leave out predictions of a lower probability",
    )
    parser.add_argument(
        "--connections",
        action="store_true",
        help="keep how channels belong together, for matrices and 3-D figures; a model of --preset "
        "eeg-transformer needs two blocks",
    )
    parser.add_argument(
        "--evaluate",
        action="store_true",
        help="put the explanation to the test: deletion of channels, random models and labels; "
        "takes a few minutes",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of permutations (default: 0)")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("skeegformer-explanation"),
        metavar="DIR",
        help="folder for what several runs give together (default: %(default)s)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace files that are there already"
    )
    parser.set_defaults(run=_run)


def _run(args):
    # In the environment, before MNE is imported.
    os.environ.setdefault("MNE_LOGGING_LEVEL", "ERROR")
    import matplotlib

    matplotlib.use("Agg")
    from skeegformer import AttentionExplainer, concatenate_explanations

    explainer = AttentionExplainer(
        args.method,
        target=args.target,
        parts=args.parts,
        head_fusion=args.head_fusion,
        convention=args.convention,
        residual=args.convention == "abnar-zuidema",
        neighbors=args.neighbors,
        connections=args.connections,
        random_state=args.seed,
    )
    explainer._check_parameters()
    if not 0 <= args.min_confidence <= 1:
        raise ValueError(f"--min-confidence {args.min_confidence} is no probability from 0 to 1.")
    runs = [_finished(path) for path in _find(args.runs)]
    folders = [run.path / "explanation" for run in runs]
    if len(runs) > 1:
        folders.append(args.output)
    for folder in folders:
        _claim(folder, args.method, args.overwrite)

    found = []
    for run, folder in zip(runs, folders, strict=False):
        explanation, epochs = _explain(run, explainer, args)
        faithfulness = explanation.evaluate(random_state=args.seed) if args.evaluate else None
        _write(folder, explanation, epochs, faithfulness, f"{run.path.name}: {args.method}", args)
        found.append((explanation, epochs.assign(run_folder=str(run.path))))
    if len(found) > 1:
        import pandas as pd

        joined = concatenate_explanations([explanation for explanation, _ in found])
        epochs = pd.concat([table for _, table in found], ignore_index=True)
        title = f"{len(found)} runs: {args.method}"
        _write(args.output, joined, epochs, None, title, args)
    return 0


def _find(patterns):
    """List the folders that are meant; a shell resolves patterns itself, unless quoted."""
    paths = []
    for pattern in patterns:
        # Path.glob takes no pattern that begins at the root.
        matches = sorted(glob.glob(pattern)) if re.search(r"[*?\[]", pattern) else [pattern]  # noqa: PTH207
        folders = [Path(match) for match in matches if Path(match).is_dir()]
        if not folders:
            raise ValueError(f"There is no run {pattern}: no such folder.")
        paths += folders
    return list(dict.fromkeys(paths))


def _finished(path):
    """Open a run that has a model."""
    run = RunFolder.open(path)
    if not run.is_finished:
        raise ValueError(
            f"{path} has no model yet; finish it first: skeegformer train --resume {path}"
        )
    return run


def _names(method):
    return {
        "explanation": f"{method}.safetensors",
        "epochs": f"{method}-epochs.csv",
        "channels": f"{method}-channels.csv",
        "figure": f"{method}-topomap.png",
        "report": f"{method}-report.html",
    }


def _claim(folder, method, overwrite):
    """Make a folder before anything is computed, and refuse to replace what is in it."""
    claim_folder(folder)
    taken = [name for name in _names(method).values() if (folder / name).exists()]
    if taken and not overwrite:
        raise ValueError(
            f"{folder / taken[0]} exists already; pass --overwrite to replace it and the files "
            "beside it."
        )


def _explain(run, explainer, args):
    """Explain one run; gives the explanation and a table of its epochs."""
    from skeegformer.io import load_model

    model = load_model(run.model)
    options = run.read_config()["options"]
    if args.data is not None:
        if args.part not in (None, "all"):
            raise ValueError(f"--part {args.part} belongs to the run's own data, not to --data.")
        options |= {"data": str(args.data), "task": None, "labels": None, "subjects": None}
        data = load_training_data(options)
        chosen = np.arange(len(data.y))
    else:
        data = load_training_data(options)
        chosen = _choose(run, data, args.part)
    if not len(chosen):
        raise ValueError(f"No epochs of {run.path} are left to explain.")
    X, y, subjects = data.X[chosen], data.y[chosen], data.subjects[chosen]
    metadata = data.metadata.iloc[chosen].reset_index(drop=True)
    if isinstance(X, MappedEpochs):  # an explanation holds its epochs anyway
        X = X.load() if X.ch_names is None else X.to_epochs(metadata)
    explanation = explainer.explain(model, X, y, groups=subjects)
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
            f"None of {len(y)} epochs of {run.path} is left with --min-confidence "
            f"{args.min_confidence}{' and --correct-only' if args.correct_only else ''}."
        )
    accuracy = float(np.mean(explanation.predictions == y))
    n_subjects = len(np.unique(subjects[kept]))
    print(
        f"{run.path}: {int(kept.sum())} epochs of {count(n_subjects, 'subject')}, accuracy of all "
        f"{len(y)} {accuracy:.3f}",
        flush=True,
    )
    return explanation.select(np.flatnonzero(kept)), table[kept].reset_index(drop=True)


def _choose(run, data, part):
    """Choose the epochs to explain."""
    held_out = run.read_split(data)
    if part is None:
        part = "validation" if held_out.any() else "all"
    if part == "all":
        return np.arange(len(data.y))
    chosen = np.flatnonzero(held_out == (part == "validation"))
    if not len(chosen):
        raise ValueError(f"{run.path} held out no epochs; pass --part all.")
    return chosen


def _write(folder, explanation, epochs, faithfulness, title, args):
    """Write all files of an explanation, and print the channels that stand out."""
    import matplotlib.pyplot as plt
    import pandas as pd

    from skeegformer.explain.statistics import channel_names

    names = {key: folder / name for key, name in _names(args.method).items()}
    channels = channel_names(explanation)
    values = pd.DataFrame(explanation.values, columns=channels)
    means = pd.DataFrame({"all": values.mean()})
    for label in explanation.classes:
        own = epochs["condition"].to_numpy() == label
        if own.any():
            means[str(label)] = values[own].mean()
    means.insert(0, "channel", channels)
    front = [name for name in ("run_folder", "epoch", "subject") if name in epochs]
    epochs = epochs[[*front, *(name for name in epochs if name not in front)]]
    table = pd.concat([epochs, values], axis=1)

    explanation.save(names["explanation"], overwrite=args.overwrite)
    for key, content in (("epochs", table), ("channels", means)):
        with replacing(names[key]) as path:
            content.to_csv(path, index=False)
    has_positions = explanation.info is not None and explanation.positions is not None
    display = explanation.plot_topomap(by="class") if has_positions else explanation.plot_bars()
    with replacing(names["figure"]) as path:
        display.figure_.savefig(path, dpi=150)
    plt.close(display.figure_)
    explanation.to_report(
        names["report"], title=title, faithfulness=faithfulness, overwrite=args.overwrite
    )
    plt.close("all")
    top = means.sort_values("all", ascending=False)["channel"].iloc[:5]
    print(f"  most on {', '.join(top)}. Wrote {names['explanation']} and its tables and figures")
