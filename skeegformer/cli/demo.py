"""``skeegformer demo``: a first look at scores and maps."""

from functools import partial
from pathlib import Path

from skeegformer.cli._arguments import expanded, n_processes, number_list
from skeegformer.cli._files import claim_folder, write_figure, write_table

HELP = "score the transformer and CSP+LDA across subjects, and plot attention maps"
DESCRIPTION = """\
Score chance, CSP+LDA and the transformer on held-out subjects, then plot the transformer's
attention in the epochs of these subjects.
"""
EPILOG = None


def add_options(parser):
    """Add the options of this command."""
    add = parser.add_argument
    add(
        "--dataset",
        choices=("simulated", "eegmmi"),
        default="simulated",
        help="simulated epochs (default), or recordings of open and closed eyes from the EEG Motor "
        "Movement/Imagery Dataset of PhysioNet, read from or downloaded to the folder MNE_DATA",
    )
    add("--subjects", type=number_list, default="1-8", help="such as 1,2,5-9 (default: 1-8)")
    add("--jobs", type=n_processes, default=-1, help="processes (default: -1, one per core)")
    folder = Path("skeegformer-demo")
    add("--output", type=expanded, default=folder, help="folder (default: %(default)s)")


def run(args):
    """Run the command."""
    n_subjects = len(args.subjects)
    if n_subjects < 4:
        raise ValueError(f"--subjects names {n_subjects}, and the demo needs at least 4.")
    csv, png = args.output / "scores.csv", args.output / "topomap.png"
    if csv.exists() or png.exists():
        raise ValueError(
            f"{args.output} has {csv.name} or {png.name} already; name another folder by --output."
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

    if args.dataset == "eegmmi":
        task, csp, how = "baseline-eyes", "csp+lda", ""
        X, y, metadata = load_eegmmi(task, args.subjects)
    else:
        # Rhythms like those of imagined movements. Labels name sides, so that mirror images count.
        task, csp = "fist-imagination", "csp+lda+mirror"
        how = "; trained on mirror images of the epochs, too, apart from chance"
        X, y, metadata, _ = make_simulated_eeg(n_subjects, random_state=0)
    subjects = metadata["subject"]
    counts = ", ".join(f"{(y == label).sum()} {label}" for label in sorted(set(y)))
    print(f"{args.dataset}: {len(y)} epochs of {n_subjects} subjects ({counts})", flush=True)

    l_freq, h_freq = task_pass_band(task)
    filtered = partial(make_eeg_pipeline, l_freq=l_freq, h_freq=h_freq)
    transformer = filtered(random_state=0)
    pipelines = {
        "chance": filtered(make_baseline("chance")),
        "CSP+LDA": filtered(make_baseline(csp)),
        "EEGTransformer": transformer,
    }
    print(f"Filtered to {l_freq:g}-{h_freq:g} Hz{how}", flush=True)
    options = {"cv": min(4, n_subjects // 2), "n_jobs": args.jobs, "verbose": 1}
    scores = cross_subject_scores(pipelines, X, y, subjects, **options)
    print("\n" + scores_table(scores, format="text"), flush=True)

    print("Training on the same folds again, for maps of the held-out subjects ...")
    folds = cross_subject_explanations(transformer, X, y, subjects, **options)
    explanation = concatenate_explanations(folds)
    display = explanation.plot_topomap(by="class")
    display.figure_.suptitle(f"Attention in held-out subjects: {args.dataset}", fontsize=11)
    top = explanation.feature_importances_.argsort()[::-1][:5]
    print(
        f"Highest mean attention: {', '.join(explanation.ch_names[i] for i in top)}. Whether that "
        "is more than chance, and whether the transformer needs them, is not tested here."
    )

    write_table(csv, scores)
    write_figure(png, display.figure_)
    print(f"Wrote {csv} and {png}")
    return 0
