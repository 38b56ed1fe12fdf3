"""``skeegformer demo``: a first look at scores and maps."""

from functools import partial
from pathlib import Path

from skeegformer.cli._arguments import expanded, n_processes, number_list
from skeegformer.cli._files import claim_folder, write_figure, write_table
from skeegformer.datasets._tasks import TASKS

HELP = "score the transformer across subjects beside CSP+LDA, and draw its attention"
DESCRIPTION = """\
Score chance, CSP+LDA and the transformer on subjects that they were not trained on, then draw where
in the epochs of these subjects the transformer's attention went.
"""
EPILOG = None


def add_options(parser):
    """Add the options of this command."""
    add = parser.add_argument
    add(
        "--dataset",
        choices=("simulated", "eegmmi"),
        default="simulated",
        help="simulated epochs (default), or recordings of PhysioNet's EEG Motor Movement/Imagery "
        "Dataset, taken from where MNE_DATA points or downloaded there",
    )
    add("--task", choices=tuple(TASKS), help="task of eegmmi (default: baseline-eyes)")
    add("--subjects", type=number_list, default="1-8", help="such as 1,2,5-9 (default: 1-8)")
    add("--folds", type=int, default=4, help="folds over subjects (default: %(default)s)")
    add("--seed", type=int, default=0, help="of simulation and training (default: %(default)s)")
    add("--jobs", type=n_processes, default=-1, help="processes (default: -1, one per core)")
    folder = Path("skeegformer-demo")
    add("--output", type=expanded, default=folder, help="folder (default: %(default)s)")
    add("--overwrite", action="store_true", help="replace scores.csv and topomap.png there")


def run(args):
    """Run the command."""
    if args.task and args.dataset == "simulated":
        raise ValueError(f"--task {args.task} belongs to --dataset eegmmi; add that.")
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
        load_eegmmi,
        make_baseline,
        make_eeg_pipeline,
        make_simulated_eeg,
    )
    from skeegformer.baselines.benchmark import task_pass_band
    from skeegformer.evaluation import scores_table
    from skeegformer.preprocessing import mirror_classes

    if args.dataset == "eegmmi":
        task = args.task or "baseline-eyes"
        name = f"EEGMMI {task}"
        X, y, metadata = load_eegmmi(task, args.subjects)
    else:
        task = "fist-imagination"  # whose rhythms these are like
        name = "simulated"
        X, y, metadata, _ = make_simulated_eeg(len(args.subjects), random_state=args.seed)
    subjects = metadata["subject"]
    counts = ", ".join(f"{(y == label).sum()} {label}" for label in sorted(set(y)))
    print(f"{name}: {len(y)} epochs of {subjects.nunique()} subjects ({counts})", flush=True)

    # The transformer is trained on mirror images where labels name sides, and so is CSP.
    two_sides = mirror_classes(sorted(set(y))) is not None
    csp = "csp+lda+mirror" if two_sides else "csp+lda"
    l_freq, h_freq = task_pass_band(task)
    filtered = partial(make_eeg_pipeline, l_freq=l_freq, h_freq=h_freq)
    transformer = filtered(random_state=args.seed)
    pipelines = {
        "chance": filtered(make_baseline("chance")),
        "CSP+LDA": filtered(make_baseline(csp)),
        "EEGTransformer": transformer,
    }
    mirrored = "; trained on mirror images of the epochs, too, apart from chance"
    print(f"Filtered to {l_freq:g}-{h_freq:g} Hz{mirrored if two_sides else ''}", flush=True)
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
