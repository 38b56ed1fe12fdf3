"""``skeegformer explain``: what the models of training runs look at, use or need."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from skeegformer.cli import _lightning as lightning
from skeegformer.cli._arguments import count, name_flags
from skeegformer.cli._explained_runs import (
    choose_epochs,
    find_runs,
    find_trained_on,
    kept_places,
    load_run,
    read_epochs,
    refuse_different,
)
from skeegformer.cli._files import claim_folder, write_figure, write_table
from skeegformer.cli._options import Command, Option, add_options, expanded

_METHODS = ("rollout", "gradient-rollout", "integrated-gradients", "occlusion", "permutation")
_DESCRIPTION = """\
Explain the predictions of trained models, run by run, for the epochs that were held out. A RUN is
a folder of `skeegformer train`, or of eeg-transformer: a folder (lightning_logs/version_0), a
checkpoint (*.ckpt), or what its attention.py wrote (attention.pt). Written are, to
RUN/explanation, the explanation, tables, a map and a report; of several runs also, to --output, a
map of each beside the others, and all of them joined.
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
  skeegformer explain lightning_logs/*/attention.pt --ch-names eegmmi --output bands

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
    Option("data", "other Epochs (*-epo.fif ...) or export, in place of the run's", many=True),
    Option("groups", "column of their metadata that names the subject (default: the run's)"),
    Option("ch_names", "if a run does not know them: C3,Cz,C4, a file of names, or eegmmi"),
    Option("sfreq", "sampling rate in Hz, if a run does not know it", "--sample-rate", float),
    Option("correct_only", "leave out wrong predictions", type=bool, default=False),
    Option("min_confidence", "least probability of a prediction", type=float, default=0.0),
    Option("evaluate", "put the map to the test, for minutes", type=bool, default=False),
    Option(
        "output",
        "folder for several runs together",
        None,
        expanded,
        Path("skeegformer-explanation"),
    ),
    Option("overwrite", "replace files that are there already", type=bool, default=False),
]


def _add_options(parser):
    parser.add_argument("runs", nargs="+", metavar="RUN", help="one or many; patterns are resolved")
    add_options(parser, [*_EXPLAINER, *_OPTIONS])


def _run(args):
    try:
        return _explain_all(args)
    except ValueError as error:
        flags = {option.name: option.flags[0] for option in [*_EXPLAINER, *_OPTIONS]}
        raise ValueError(name_flags(str(error), flags)) from error


def _explain_all(args):
    import pandas as pd

    from skeegformer import AttentionExplainer, concatenate_explanations

    parameters = {option.name: getattr(args, option.name) for option in _EXPLAINER}
    explainer = AttentionExplainer(**parameters)
    explainer._check_parameters()
    if not 0 <= args.min_confidence <= 1:
        raise ValueError(f"--min-confidence {args.min_confidence} is no probability from 0 to 1.")
    models = {run: load_run(run, args) for run in find_runs(args.runs)}
    refuse_different(models)
    folders = {run: lightning.run_of(run) / "explanation" for run in models}
    if len(set(folders.values())) < len(folders):
        raise ValueError("Several of the runs are of one folder; explain them one by one.")
    _claim([*folders.values(), *([args.output] if len(models) > 1 else [])], args)
    found = []
    for run, model in models.items():
        explanation, epochs, accuracy = _explain(run, model, explainer, args)
        faithfulness = None
        if args.evaluate:
            print("Putting it to the test ...", flush=True)
            faithfulness = explanation.evaluate(random_state=args.random_state)
            print(faithfulness)
        _write(folders[run], explanation, epochs, faithfulness, f"{run.name}: {args.method}", args)
        found.append((explanation, epochs.assign(run_folder=str(run)), accuracy))
    if len(found) > 1:
        _compare(list(models), found, args)
        joined = concatenate_explanations([explanation for explanation, *_ in found])
        epochs = pd.concat([table for _, table, _ in found], ignore_index=True)
        _tell_shared(epochs)
        _write(args.output, joined, epochs, None, f"{len(found)} runs: {args.method}", args)
    return 0


# What is written, as the endings of the method's name; the last two of several runs only.
_ENDINGS = {
    "explanation": ".safetensors",
    "epochs": "-epochs.csv",
    "channels": "-channels.csv",
    "map": "-topomap.png",
    "bars": "-bars.png",
    "report": "-report.html",
    "maps of runs": "-runs.png",
    "runs": "-runs.csv",
}


def _paths(folder, method):
    return {key: folder / f"{method}{ending}" for key, ending in _ENDINGS.items()}


def _claim(folders, args):
    """Make the folders before anything is computed, and refuse to replace what is in them."""
    taken = {
        str(path): [file.name for file in _paths(path, args.method).values() if file.exists()]
        for path in folders
    }
    if any(taken.values()) and not args.overwrite:
        there = "; ".join(f"{path}: {', '.join(names)}" for path, names in taken.items() if names)
        raise ValueError(
            f"There are explanations by {args.method} already, and nothing was computed. Pass "
            f"--overwrite to explain again and replace these files, and no others. {there}"
        )
    for path in folders:
        claim_folder(path)


def _tell_shared(epochs):
    """Say of a joined table which subjects are in it more than once."""
    n_runs = epochs.groupby(epochs["subject"].astype(str))["run_folder"].nunique()
    n_shared = int((n_runs > 1).sum())
    if n_shared:
        print(
            f"{n_shared} of {count(len(n_runs), 'subject')} are explained in more than one run. "
            "The joined files have their epochs once for each, which gives them more weight in "
            "means over epochs and maps; statistics over subjects count each of them once.",
            flush=True,
        )


def _explain(run, model, explainer, args):
    """Explain one run; gives the explanation, a table of its epochs, and the accuracy."""
    import pandas as pd

    if hasattr(model, "token_values"):
        explanation, y, subjects = model, model.y, model.subjects
        metadata = pd.DataFrame({"subject": subjects})
        print(f"{run}: rollout of eeg-transformer, the largest weight of all heads", flush=True)
    else:
        read, y, metadata, info = read_epochs(run, model, args)
        chosen = choose_epochs(run, model, y, metadata, args)
        y, metadata = y[chosen], metadata.iloc[chosen].assign(epoch=chosen).reset_index(drop=True)
        subjects = metadata["subject"].to_numpy()
        trained_on = find_trained_on(run, model, subjects, args)
        if trained_on is not None:
            metadata["trained_on"] = trained_on
        explanation = explainer.explain(model, read(chosen), y, groups=subjects, info=info)
        kept = kept_places(model)
        if explanation.ch_names is None and kept is not None:
            names = [f"channel {place}" for place in kept]  # as in the export
            explanation = replace(explanation, ch_names=names)
    table = metadata.assign(
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
    table = table[kept].reset_index(drop=True)
    return explanation.select(np.flatnonzero(kept)), table, accuracy


def _write(path, explanation, epochs, faithfulness, title, args):
    """Write all files of an explanation, and print the channels that stand out."""
    import matplotlib.pyplot as plt
    import pandas as pd

    files = _paths(path, args.method)
    channels = explanation.channel_names
    values = pd.DataFrame(explanation.values, columns=channels)
    means = values.groupby(epochs["condition"].astype(str)).mean().T
    means.insert(0, "all", values.mean())
    write_table(files["channels"], means.rename_axis("channel").reset_index())
    front = ("run_folder", "epoch", "subject", "trained_on")
    front = [name for name in front if name in epochs]
    epochs = epochs[[*front, *(name for name in epochs if name not in front)]]
    write_table(files["epochs"], pd.concat([epochs, values], axis=1))
    explanation.save(files["explanation"], overwrite=args.overwrite)
    for key in ("map", "bars"):  # of an earlier explanation there may be the other one
        files[key].unlink(missing_ok=True)
    if explanation.positions is not None:
        drawn, figure = files["map"], explanation.plot_topomap(by="class").figure_
    else:
        drawn, figure = files["bars"], explanation.plot_bars().figure
    write_figure(drawn, figure)
    explanation.to_report(
        files["report"], title=title, faithfulness=faithfulness, overwrite=args.overwrite
    )
    plt.close("all")
    top = means["all"].sort_values(ascending=False).index[:5]
    is_map = drawn == files["map"]
    what = "The map is" if is_map else "Without positions there is no map, but bars:"
    print(f"  most on {', '.join(top)}. {what} {drawn}")
    others = ("explanation", "epochs", "channels", "report")
    print(f"  Beside it: {', '.join(files[key].name for key in others)}")


def _compare(runs, found, args):
    """Write means and accuracy of each run, and draw their maps beside each other."""
    import pandas as pd

    from skeegformer.explain import plot_topomaps

    homes = [lightning.run_of(run) for run in runs]
    different = len({home.name for home in homes}) == len(homes)
    titles = [home.name if different else str(home) for home in homes]
    explanations = {title: one for title, (one, *_) in zip(titles, found, strict=True)}
    files = _paths(args.output, args.method)
    rows = [
        {
            "run": title,
            "accuracy": accuracy,
            "n_epochs": len(one),
            **dict(zip(one.channel_names, one.values.mean(axis=0), strict=True)),
        }
        for title, (one, _, accuracy) in zip(titles, found, strict=True)
    ]
    write_table(files["runs"], pd.DataFrame(rows))
    files["maps of runs"].unlink(missing_ok=True)
    first = found[0][0]
    if first.positions is None:
        return
    shared = set.intersection(*(set(one.y.tolist()) for one in explanations.values()))
    pair = [label for label in first.classes.tolist() if label in shared]
    difference = tuple(pair) if len(pair) == 2 else None
    if pair:
        display = plot_topomaps(explanations, difference=difference)
        write_figure(files["maps of runs"], display.figure_)
        print(f"Maps of the runs beside each other: {files['maps of runs']}")


COMMAND = Command(
    "explain",
    "draw what trained models look at, and write it down",
    _DESCRIPTION,
    _EPILOG,
    _add_options,
    _run,
)
