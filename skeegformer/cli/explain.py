"""``skeegformer explain``: what the models of training runs look at, use or need."""

from pathlib import Path

import numpy as np

from skeegformer.cli import _run_folder as folder
from skeegformer.cli._arguments import count, expanded, name_flags
from skeegformer.cli._files import claim_folder, write_figure, write_table
from skeegformer.cli._train_options import check_options, resolve
from skeegformer.cli._training_data import check_data_options, in_file, load_data

HELP = "explain the predictions of training runs, with maps, tables and reports"
DESCRIPTION = """\
Explain the predictions of runs of `skeegformer train` for their held-out epochs. The explanation,
tables, a map and a report are written to RUN/explanation. For several runs, the joined explanation
of all of them is also written, to --output.
"""
EPILOG = """\
methods:
  rollout                where the model looks: the attention of the class token to each channel
  gradient-rollout,      what the model uses: how channels change the output
  integrated-gradients
  occlusion,             what the model needs: what is lost without a channel
  permutation

examples:
  skeegformer explain runs/baseline-eyes
  skeegformer explain runs/fold-* --method gradient-rollout --target true --output maps

Exit codes: 0 for success, 2 for invalid input.
"""
METHODS = ("rollout", "gradient-rollout", "integrated-gradients", "occlusion", "permutation")
_EXPLAINER = ("method", "target", "parts", "head_fusion", "convention", "neighbors", "connections")


def add_options(parser):
    """Add the options of this command."""
    add = parser.add_argument
    add("runs", nargs="+", type=expanded, metavar="RUN", help="one or more folders of runs")
    add("--method", choices=METHODS, default="rollout", help="see below (default: %(default)s)")
    add("--target", default="predicted", help="predicted (default), true, or a class")
    add("--parts", choices=("time", "band"), default="time", help="divide channels by time or band")
    add("--head-fusion", choices=("mean", "max", "min"), default="mean", help="for rollout")
    conventions = ("abnar-zuidema", "eeg-transformer")
    add("--convention", choices=conventions, default=conventions[0], help="for rollout")
    add("--neighbors", action="store_true", help="also perturb neighbouring electrodes")
    add("--connections", action="store_true", help="keep connections between channels")
    add("--seed", type=int, default=0, help="random seed (default: %(default)s)")
    parts = ("validation", "training", "all")
    add("--part", choices=parts, help="epochs to explain (default: validation; with --data, all)")
    add("--data", nargs="+", help="other Epochs (*-epo.fif ...) or export, instead of the run's")
    add("--groups", help="metadata column of --data with the subject (default: the run's)")
    add("--correct-only", action="store_true", help="leave out wrong predictions")
    add("--min-confidence", type=float, default=0.0, help="lowest probability of a prediction")
    add("--evaluate", action="store_true", help="test faithfulness, which takes minutes")
    where = "folder (default: RUN/explanation; for joined runs, skeegformer-explanation)"
    add("--output", type=expanded, help=where)
    add("--overwrite", action="store_true", help="replace existing files")


def run(args):
    """Run the command."""
    try:
        return _explain_all(args)
    except ValueError as error:
        flags = {name: "--" + name.replace("_", "-") for name in _EXPLAINER}
        raise ValueError(name_flags(str(error), flags)) from error


def _explain_all(args):
    import pandas as pd

    from skeegformer import AttentionExplainer, concatenate_explanations

    parameters = {name: getattr(args, name) for name in _EXPLAINER}
    explainer = AttentionExplainer(**parameters, random_state=args.seed)
    explainer._check_parameters()
    if not 0 <= args.min_confidence <= 1:
        raise ValueError(f"--min-confidence {args.min_confidence} is no probability from 0 to 1.")
    runs = list(dict.fromkeys(args.runs))
    models = [_load_model(run) for run in runs]
    _refuse_unlike(runs, models)
    folders = [run / "explanation" for run in runs]
    if len(runs) > 1:
        folders.append(args.output or Path("skeegformer-explanation"))
    elif args.output:
        folders = [args.output]
    _claim(folders, args)
    explanations, tables = [], []
    for run, model, place in zip(runs, models, folders, strict=False):
        explanation, epochs = _explain(run, model, explainer, args)
        faithfulness = None
        if args.evaluate:
            print("Putting it to the test ...", flush=True)
            faithfulness = explanation.evaluate(random_state=args.seed)
            print(faithfulness)
        _write(place, explanation, epochs, faithfulness, run.name, args)
        explanations.append(explanation)
        tables.append(epochs.assign(run_folder=str(run)))
    if len(runs) > 1:
        joined = concatenate_explanations(explanations)
        epochs = pd.concat(tables, ignore_index=True)
        _write(folders[-1], joined, epochs, None, f"{len(runs)} runs", args)
    return 0


def _refuse_unlike(runs, models):
    """Refuse runs whose explanations cannot be joined, before anything is computed."""
    first = {}
    for run, model in zip(runs, models, strict=True):
        classifier = model[-1] if hasattr(model, "steps") else model
        kind = {
            "networks": type(classifier).__name__,
            "channels": classifier.ch_names_ or classifier.n_chans_,
            "numbers of samples": classifier.n_times_,
            "classes": classifier.classes_.tolist(),
        }
        for name, value in kind.items():
            if first.setdefault(name, value) != value:
                raise ValueError(
                    f"{runs[0]} and {run} have different {name}, and cannot be joined; explain "
                    "them one by one."
                )


def _load_model(run):
    from skeegformer import load_model

    folder.open_run(run)
    if not (run / folder.MODEL).is_file():
        raise ValueError(
            f"{run} has no model yet; finish it first: skeegformer train --resume {run}"
        )
    return load_model(run / folder.MODEL)


def _claim(folders, args):
    """Make the folders before anything is computed, and refuse to replace what is in them."""
    there = [str(file) for path in folders for file in sorted(path.glob(f"{args.method}[.-]*"))]
    if there and not args.overwrite:
        raise ValueError(
            "Nothing was computed, because there are explanations already; --overwrite replaces "
            f"these files, and no others: {', '.join(there)}"
        )
    for path in folders:
        claim_folder(path)


def _explain(run, model, explainer, args):
    """Explain one run; gives the explanation and a table of its epochs."""
    X, y, metadata = _load_epochs(run, args)
    chosen = _choose_epochs(run, y, metadata, args)
    X, y, metadata = X[chosen], y[chosen], metadata.iloc[chosen].reset_index(drop=True)
    if in_file(X):
        X = X.to_epochs(metadata)
    trained_on = _find_trained_on(run, metadata["subject"])
    explanation = explainer.explain(model, X, y, groups=metadata["subject"].to_numpy())
    table = metadata.assign(
        epoch=chosen,
        trained_on=trained_on,
        condition=y,
        prediction=explanation.predictions,
        confidence=explanation.confidences,
    )
    correct = explanation.predictions == y
    kept = explanation.confidences >= args.min_confidence
    if args.correct_only:
        kept &= correct
    if not kept.any():
        raise ValueError(
            f"None of {len(y)} epochs of {run} is left with --min-confidence "
            f"{args.min_confidence}{' and --correct-only' if args.correct_only else ''}."
        )
    table = table[kept].reset_index(drop=True)
    print(
        f"{run}: {len(table)} epochs of {count(table['subject'].nunique(), 'subject')}, accuracy "
        f"of all {len(y)} {correct.mean():.3f}",
        flush=True,
    )
    return explanation.select(np.flatnonzero(kept)), table


def _load_epochs(run, args):
    """Load the epochs of a run, or others."""
    config = folder.open_run(run)
    options = check_options(config["options"], run / folder.CONFIG)
    options = resolve({}, options, config.get("preset", "default"))
    if args.groups:
        options["groups"] = args.groups
    if args.data:
        options |= {"data": args.data, "task": None, "subjects": None}
    check_data_options(options | {"stages": None})  # the run may be of an export
    return load_data(options)


def _choose_epochs(run, y, metadata, args):
    """Choose the epochs to explain."""
    if args.part == "all" or (args.part is None and args.data):
        return np.arange(len(y))
    held_out = folder.read_split(run, y, metadata)
    if args.part is None and not held_out.any():
        return np.arange(len(y))
    chosen = np.flatnonzero(held_out == (args.part != "training"))
    if not len(chosen):
        raise ValueError(f"{run} held out no epochs; pass --part all.")
    return chosen


def _find_trained_on(run, subjects):
    """Tell which epochs are of subjects that the run was trained on, by their names."""
    split = folder.split_table(run)
    names = split["subject"][split["part"] == "training"]
    trained_on = subjects.astype(str).isin(names)
    known = subjects[trained_on].astype(str).unique().tolist()
    if known:
        shown = ", ".join([*known[:10], "..."] if len(known) > 10 else known)
        print(
            f"{run} was trained on subjects with these names: {shown} ({len(known)} of "
            f"{subjects.nunique()}); if they are the same people, their scores and maps show what "
            "was memorised.",
            flush=True,
        )
    return trained_on.to_numpy()


def _write(path, explanation, epochs, faithfulness, title, args):
    """Write all files of an explanation, and print the channels that stand out."""
    import matplotlib.pyplot as plt
    import pandas as pd

    base = str(path / args.method)
    values = pd.DataFrame(explanation.values, columns=explanation.channel_names)
    means = values.groupby(epochs["condition"].astype(str)).mean().T
    means = means.rename(columns={name: f"class {name}" for name in ("all", "channel")})
    means.insert(0, "all", values.mean())
    write_table(Path(f"{base}-channels.csv"), means.rename_axis("channel").reset_index())
    front = [name for name in ("run_folder", "epoch", "subject", "trained_on") if name in epochs]
    epochs = epochs[[*front, *(name for name in epochs if name not in front)]]
    write_table(Path(f"{base}-epochs.csv"), pd.concat([epochs, values], axis=1))
    explanation.save(f"{base}.safetensors", overwrite=args.overwrite)
    figure = Path(f"{base}-topomap.png")
    figure.unlink(missing_ok=True)  # of an earlier explanation
    if explanation.positions is not None:
        write_figure(figure, explanation.plot_topomap(by=None).figure_)
    explanation.to_report(
        f"{base}-report.html",
        title=f"{title}: {args.method}",
        faithfulness=faithfulness,
        overwrite=args.overwrite,
    )
    plt.close("all")
    top = means["all"].sort_values(ascending=False).index[:5]
    where = f"The map is {figure}" if figure.exists() else "Without positions there is no map"
    print(f"  most on {', '.join(top)}. {where}; tables and report are {base}*")
