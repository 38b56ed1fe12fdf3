r"""The table of cross-subject scores, pipeline by pipeline, on recordings of EEGMMI.

Runs those pipelines that are named, on all four tasks, and puts their rows into
``benchmarks/results/cross_subject.csv`` in place of older ones of the same pipelines and seeds,
then makes ``cross_subject.md`` and a figure from all rows. So networks of braindecode, which
need an older torch, can be run in an environment of their own, and long ones seed by seed::

    python benchmarks/cross_subject.py --pipelines CSP+LDA "tangent space+LR"
    python benchmarks/cross_subject.py --pipelines EEGNet --seeds 1 2 --device cuda
    python benchmarks/cross_subject.py --pipelines              # only makes tables and figure

The filter and the sampling rate, which treat each epoch by itself, are the same for all, so they
are applied once and not in every fit; seconds are those of the steps that follow.

With ``--docs`` the tables also replace those in README.md and in the documentation. Another
``--table`` is for other people, and has a place of its own in the documentation::

    python benchmarks/cross_subject.py --table benchmarks/results/fists.csv \
        --tasks fist-imagination --subjects 1 2 3 --pipelines skeegformer "EEGNet mirrored"

With ``--start 0.5``, the first half second of epochs, in which eyes move to the cue of a movement,
is left out after the filter; such rows belong into a table of their own,
``benchmarks/results/fists_late.csv``.

Finished fits are kept in ``--store``: killed and started again, it goes on where it was.
"""

import os
import textwrap
from functools import partial
from pathlib import Path

import pandas as pd
from markers import write_between_markers
from merged import ahead, digits, keep, merged, whole
from prepared import prepared, unprepared_pipelines
from variants import parser, run_folds

from skeegformer._utils.files import replacing
from skeegformer.baselines import BENCHMARK_PIPELINES, INFORMATION
from skeegformer.evaluation import compare_pipelines, scores_table
from skeegformer.evaluation.tasks import STANDARD_TASKS
from skeegformer.plotting import plot_scores

HERE = Path(__file__).parent
TABLE = HERE / "results" / "cross_subject.csv"
OURS = BENCHMARK_PIPELINES[-1]
# The last one by the code at commit 7822c42.
ROWS = (*BENCHMARK_PIPELINES, f"{OURS} 0.1")
# Rows of the table for who has two minutes, beside those that are best at something.
SHOWN = (
    "CSP+LDA mirrored",
    "tangent space+LR mirrored",
    "ShallowFBCSPNet",
    "EEGNet",
    "ShallowFBCSPNet mirrored",
    "EEGNet mirrored",
    "EEG Conformer mirrored",
    "eeg-transformer",
    OURS,
)
KEY = ["task", "protocol", "information", "pipeline", "seed"]


def run(args):
    """Score the pipelines that are named."""
    pipelines = partial(unprepared_pipelines, names=args.pipelines)
    load = partial(prepared, subjects=args.subjects, start=args.start)
    scores = run_folds(pipelines, load, args.tasks, args)
    if args.start:  # another protocol, whose rows do not take the place of others
        scores["protocol"] += f", from {args.start:g} s"
    return scores


def merge(scores, table):
    """Put rows in place of older ones of the same fits, in the order of the benchmark."""
    scores = merged(scores, table, KEY)
    scores = scores[scores["pipeline"].isin(ROWS)]
    orders = {"information": INFORMATION, "pipeline": ROWS}
    places = {name: {one: i for i, one in enumerate(order)} for name, order in orders.items()}
    return scores.sort_values(
        ["information", "task", "pipeline", "seed", "subject"],
        key=lambda column: column.map(places.get(column.name, lambda value: value)),
        ignore_index=True,
    )


def tables(scores, reference, **options):
    """Make the tables of every kind of information.

    Without seconds: rows come from several machines, and ``cost.py`` measures on one. Without
    figures that older rows do not have.
    """
    scores = scores.drop(columns=["fit_seconds", "predict_seconds"]).dropna(axis=1)
    parts = [part for _, part in scores.groupby("information", sort=False)]
    return "\n\n".join(scores_table(part, reference=reference, **options) for part in parts)


def overview(scores):
    """Make a table of the means alone, for who has two minutes."""
    means = scores.groupby(["information", "pipeline", "task"], sort=False)["balanced_accuracy"]
    means = means.mean().unstack()  # every subject has every seed
    means["all"] = means.mean(axis=1, skipna=False)
    lines = ["| " + " | ".join(["pipeline", "information", *means.columns]) + " |"]
    lines.append("|---" * (2 + means.shape[1]) + "|")
    for (information, pipeline), row in means.iterrows():
        best = means.loc[information].max()
        if pipeline not in SHOWN and (row < best).all():
            continue
        cells = [_cell(value, value == best[task]) for task, value in row.items()]
        lines.append("| " + " | ".join([pipeline, information, *cells]) + " |")
    return "\n".join(lines)


def _cell(mean, is_best):
    if pd.isna(mean):
        return "–"
    return f"**{digits(mean)}**" if is_best else digits(mean)


def lead(scores):
    """Say how far ours is ahead of the best of the others, averaged over tasks if several."""
    sentences = []
    for kind, rows in scores.groupby("information", sort=False):
        tasks = rows["task"].unique()
        found = compare_pipelines(whole(rows, tasks), OURS)
        which = "all tasks" if len(tasks) > 1 else tasks[0]
        found = found[found["task"] == which].set_index("pipeline")
        best = found.loc[found["mean"].idxmax()]
        sentences.append(f"{kind}, {best.name}: {ahead(best)}")
    average = ", averaged over tasks" * (scores["task"].nunique() > 1)
    return (
        f"Mean difference between {OURS} and the best other pipeline{average}, with its 95 % "
        "interval over subjects and the p value of Wilcoxon's signed-rank test, Holm-corrected "
        f"for all pipelines: {'; '.join(sentences)}."
    )


def write(path, text):
    """Write a file whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def main():
    options = parser(__doc__, tasks=STANDARD_TASKS, seeds=(0, 1, 2))
    pipelines = BENCHMARK_PIPELINES
    options.add_argument("--pipelines", nargs="*", default=pipelines, help="none: only tables")
    options.add_argument("--table", type=Path, default=TABLE, help="CSV of all rows")
    options.add_argument("--start", type=float, default=0.0, help="of epochs, seconds")
    options.add_argument("--docs", action="store_true", help="renew README.md and docs as well")
    args = options.parse_args()
    os.environ.setdefault("MNE_LOGGING_LEVEL", "ERROR")  # reaches the processes that train

    if args.tasks and args.pipelines:
        scores = merge(run(args), args.table)
        args.table.parent.mkdir(parents=True, exist_ok=True)
        keep(scores, args.table)
    scores = pd.read_csv(args.table)
    is_main = args.table.resolve() == TABLE.resolve()
    reference = "CSP+LDA" if is_main else OURS
    write(args.table.with_suffix(".md"), f"{lead(scores)}\n\n{tables(scores, reference)}\n")
    if args.docs:
        page = HERE.parent / "docs" / "benchmark.rst"
        text = tables(scores, reference, format="rst", by_subject=False)
        write_between_markers(page, args.table.stem.replace("_", "-"), text)
        if is_main:
            rows = scores[scores["information"] != "calibrated"]
            text = f"{overview(rows)}\n\n{textwrap.fill(lead(scores), 100)}"
            write_between_markers(HERE.parent / "README.md", "cross-subject", text)
            panels = plot_scores(scores[scores["information"] == "transductive"])
            path = TABLE.with_name(f"{TABLE.stem}_transductive.png")
            panels[0].figure.savefig(path, dpi=100, bbox_inches="tight")


if __name__ == "__main__":
    main()
