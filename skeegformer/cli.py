"""The command ``skeegformer``."""

import argparse
import itertools
import os
import sys
from pathlib import Path

from skeegformer.datasets._tasks import TASKS


def main(argv=None):
    """Run the command line.

    Parameters
    ----------
    argv : list of str or None, default=None
        Arguments; None takes those of the process.

    Returns
    -------
    int
        Exit code: 0 when all went well, 2 when the input was at fault.
    """
    args = _parser().parse_args(argv)
    try:
        return args.run(args)
    except (ValueError, OSError) as error:
        print(f"skeegformer: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("skeegformer: interrupted.", file=sys.stderr)
        return 130


def _parser():
    from skeegformer import __version__

    parser = argparse.ArgumentParser(
        prog="skeegformer", description="Transformers for EEG that say which channels they look at."
    )
    parser.add_argument("--version", action="version", version=f"skeegformer {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    demo = commands.add_parser(
        "demo",
        help="score the transformer across subjects beside CSP+LDA, and draw its attention",
        description="Score chance, CSP+LDA and the transformer on subjects that they were not "
        "trained on, then draw the transformer's attention over the scalp.",
    )
    demo.add_argument(
        "--dataset",
        choices=("simulated", "eegmmi"),
        default="simulated",
        help="simulated epochs, or recordings of PhysioNet's EEG Motor Movement/Imagery Dataset, "
        "taken from where MNE_DATA points or downloaded there (default: %(default)s)",
    )
    demo.add_argument(
        "--task", choices=tuple(TASKS), help="task of eegmmi (default: baseline-eyes)"
    )
    demo.add_argument(
        "--subjects",
        type=_subjects,
        default="1-8",
        metavar="LIST",
        help="subjects, such as 1-8 or 1,2,5-9; of simulated ones their number counts "
        "(default: %(default)s)",
    )
    demo.add_argument(
        "--folds", type=int, default=4, help="number of folds over subjects (default: %(default)s)"
    )
    demo.add_argument(
        "--seed", type=int, default=0, help="seed of simulation and training (default: %(default)s)"
    )
    demo.add_argument(
        "--jobs",
        type=int,
        default=-1,
        help="processes to train in; -1, the default, for one per core",
    )
    demo.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for scores.csv and topomap.png; by default a new one, skeegformer-demo or "
        "skeegformer-demo-2 and so on",
    )
    demo.add_argument(
        "--overwrite", action="store_true", help="replace these files where DIR has them already"
    )
    demo.set_defaults(run=_demo)
    return parser


def _demo(args):
    if args.task and args.dataset == "simulated":
        raise ValueError(f"--task {args.task} belongs to --dataset eegmmi; add that.")
    if args.jobs == 0:
        raise ValueError("--jobs 0 does no work; give a number of processes, or -1.")
    if args.folds < 2 or len(args.subjects) < args.folds:
        raise ValueError(
            f"--folds {args.folds} needs at least 2 folds, and as many subjects; --subjects names "
            f"{len(args.subjects)}."
        )
    files = _claim(args.output, ("scores.csv", "topomap.png"), args.overwrite)

    # In the environment, because it has to reach the processes that train as well.
    os.environ.setdefault("MNE_LOGGING_LEVEL", "ERROR")
    # The drawing happens in files: no window, also on machines that could open one.
    import matplotlib

    matplotlib.use("Agg")

    from skeegformer import (
        AttentionExplainer,
        cross_subject_scores,
        make_baseline,
        make_eeg_pipeline,
    )

    X, y, metadata, name = _demo_data(args)
    subjects = metadata["subject"]
    counts = ", ".join(f"{(y == label).sum()} {label}" for label in sorted(set(y)))
    print(f"{name}: {len(y)} epochs of {subjects.nunique()} subjects ({counts})", flush=True)

    transformer = make_eeg_pipeline(random_state=args.seed)
    pipelines = {
        "chance": make_eeg_pipeline(make_baseline("chance")),
        "CSP+LDA": make_eeg_pipeline(make_baseline("csp+lda")),
        "EEGTransformer": transformer,
    }
    scores = cross_subject_scores(
        pipelines,
        X,
        y,
        subjects,
        cv=args.folds,
        seeds=(args.seed,),
        n_jobs=args.jobs,
        verbose=1,
    )
    print(_table(scores, args.folds), flush=True)

    print("Training on all subjects for the map of attention ...", flush=True)
    transformer.fit(X, y)
    explanation = AttentionExplainer().explain(transformer, X, y)
    display = explanation.plot_topomap(by="class")
    display.figure_.suptitle(f"Where the transformer looks: {name}", fontsize=11)
    top = explanation.feature_importances_.argsort()[::-1][:5]
    print("It looks most at " + ", ".join(explanation.ch_names[i] for i in top) + ".")

    _write(files["scores.csv"], lambda path: scores.to_csv(path, index=False))
    _write(files["topomap.png"], lambda path: display.figure_.savefig(path, dpi=150))
    print(f"Wrote {files['scores.csv']} and {files['topomap.png']}")
    return 0


def _demo_data(args):
    """Load or simulate the epochs, and say in a few words what they are."""
    if args.dataset == "eegmmi":
        from skeegformer import load_eegmmi

        task = args.task or "baseline-eyes"
        X, y, metadata = load_eegmmi(task, args.subjects)
        return X, y, metadata, f"EEGMMI {task}"
    from skeegformer import make_simulated_eeg

    X, y, metadata, _ = make_simulated_eeg(n_subjects=len(args.subjects), random_state=args.seed)
    return X, y, metadata, "simulated"


def _table(scores, n_folds):
    """Format mean, spread and every subject as a table for a terminal."""
    from skeegformer.evaluation import summarize_scores

    summary = summarize_scores(scores)
    width = max(map(len, summary.index)) + 2
    lines = [
        f"Balanced accuracy on unseen subjects ({n_folds} folds over subjects)",
        "",
        f"{'pipeline':<{width}}{'mean':>6}{'sd':>7}{'worst':>8}{'best':>7}{'fit':>9}",
    ]
    for name, row in summary.iterrows():
        lines.append(
            f"{name:<{width}}{row['mean']:>6.3f}{row['sd']:>7.3f}{row['worst']:>8.3f}"
            f"{row['best']:>7.3f}{row['fit_seconds']:>7.1f} s"
        )
    by_subject = scores.pivot_table(
        index="pipeline", columns="subject", values="balanced_accuracy", sort=False
    )
    lines += ["", f"{'subject':<{width}}" + "".join(f"{s:>6}" for s in by_subject.columns)]
    for name, row in by_subject.iterrows():
        lines.append(f"{name:<{width}}" + "".join(f"{value:>6.2f}" for value in row))
    return "\n" + "\n".join(lines) + "\n"


def _subjects(text):
    """Read a list such as ``1-8`` or ``1,2,5-9``."""
    subjects = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        try:
            subjects += range(int(first), int(last if dash else first) + 1)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a list of subjects such as 1-8 or 1,2,5-9"
            ) from None
    return tuple(dict.fromkeys(subjects))


def _claim(folder, names, overwrite):
    """Make the output folder before anything is computed, and refuse to replace what is in it."""
    if folder is None:
        numbers = itertools.count(2)
        folder = Path("skeegformer-demo")
        while any((folder / name).exists() for name in names):
            folder = Path(f"skeegformer-demo-{next(numbers)}")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--output {folder} is a file; name a folder.")
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise ValueError(f"--output {folder} cannot be written to; name another folder.")
    files = {name: folder / name for name in names}
    taken = [str(path) for path in files.values() if path.exists()]
    if taken and not overwrite:
        raise ValueError(
            f"{' and '.join(taken)} exist already; pass --overwrite to replace them, or another "
            "--output."
        )
    return files


def _write(path, save):
    """Write a file whole or not at all."""
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        save(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
