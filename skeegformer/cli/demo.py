"""``skeegformer demo``: a first look at scores and maps."""

from functools import partial
from pathlib import Path

from skeegformer.cli._arguments import check_jobs, number_list
from skeegformer.cli._files import claim_folder, write_figure, write_table
from skeegformer.cli._options import Command, Option, add_options, expanded
from skeegformer.datasets._tasks import TASKS

_DESCRIPTION = """\
Score chance, CSP+LDA and the transformer on subjects that they were not trained on, then draw where
in the epochs of these subjects the transformer's attention went.
"""
_OPTIONS = [
    Option(
        "dataset",
        "simulated epochs, or recordings of PhysioNet's EEG Motor Movement/Imagery Dataset, taken "
        "from where MNE_DATA points or downloaded there",
        default="simulated",
        choices=("simulated", "eegmmi"),
    ),
    Option("task", "task of eegmmi (default: baseline-eyes)", choices=tuple(TASKS)),
    Option(
        "subjects",
        "such as 1-8 or 1,2,5-9; of simulated ones their number counts",
        type=number_list,
        default="1-8",
    ),
    Option("folds", "number of folds over subjects", type=int, default=4),
    Option("seed", "seed of simulation and training", type=int, default=0),
    Option("jobs", "processes to train in; -1 for one per core", type=int, default=-1),
    Option(
        "output", "folder for scores.csv and topomap.png", None, expanded, Path("skeegformer-demo")
    ),
    Option("overwrite", "replace these files where they are there", type=bool, default=False),
]


def _run(args):
    if args.task and args.dataset == "simulated":
        raise ValueError(f"--task {args.task} belongs to --dataset eegmmi; add that.")
    check_jobs(args.jobs)
    if args.folds < 2 or len(args.subjects) < args.folds:
        raise ValueError(
            f"--folds {args.folds} needs at least 2 folds, and as many subjects; --subjects names "
            f"{len(args.subjects)}."
        )
    csv, png = args.output / "scores.csv", args.output / "topomap.png"
    if not args.overwrite and (csv.exists() or png.exists()):
        raise ValueError(
            f"{args.output} has {csv.name} or {png.name} already; pass --overwrite to replace "
            "them, or another --output."
        )
    claim_folder(args.output)

    from skeegformer import (
        concatenate_explanations,
        cross_subject_explanations,
        cross_subject_scores,
        make_baseline,
        make_eeg_pipeline,
    )
    from skeegformer.evaluation import scores_table

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
    options = {"cv": args.folds, "n_jobs": args.jobs, "verbose": 1}
    scores = cross_subject_scores(pipelines, X, y, subjects, seeds=args.seed, **options)
    print("\n" + scores_table(scores, format="text"), flush=True)

    print("Training on the same folds again, for maps of the people who were left out ...")
    folds = cross_subject_explanations(transformer, X, y, subjects, **options)
    explanation = concatenate_explanations(folds)
    display = explanation.plot_topomap(by="class")
    display.figure_.suptitle(f"Attention to people not trained on: {name}", fontsize=11)
    top = explanation.feature_importances_.argsort()[::-1][:5]
    print(
        f"Highest mean attention: {', '.join(explanation.ch_names[i] for i in top)}. Whether that "
        "is more than chance, and whether the transformer needs them, is not tested here."
    )

    write_table(csv, scores)
    write_figure(png, display.figure_)
    print(f"Wrote {csv} and {png}")
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


COMMAND = Command(
    "demo",
    "score the transformer across subjects beside CSP+LDA, and draw its attention",
    _DESCRIPTION,
    None,
    partial(add_options, options=_OPTIONS),
    _run,
)
