"""How scores of unseen subjects grow with the number of subjects to train on.

Every subject is tested by models of 2, 4, 8 and 11 of the others; those of a smaller number are
among those of a larger one. Rows of the pipelines and seeds that are named replace older ones in
``benchmarks/results/learning_curve.csv``; table and figure are made from all rows::

    python benchmarks/learning_curve.py
    python benchmarks/learning_curve.py --pipelines EEGNet   # where braindecode is installed

Finished fits are kept in ``--store``: killed and started again, it goes on where it was.
"""

import os
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from merged import digits, keep, merged, said_seeds
from prepared import prepared, unprepared_pipelines
from sklearn.model_selection import LeaveOneGroupOut
from variants import parser, run_folds

from skeegformer._utils.files import replacing
from skeegformer.baselines import BENCHMARK_PIPELINES

RESULTS = Path(__file__).parent / "results"
TABLE = RESULTS / "learning_curve.csv"
TASK = "fist-imagination"
KEY = ["task", "information", "pipeline", "n_train_subjects", "seed"]


class LeaveOneSubjectOut:
    """Test each subject by a model of some of the others.

    Those are drawn for each test subject, and those of a smaller number are among those of a
    larger one.
    """

    def __init__(self, n_train_subjects):
        self.n_train_subjects = n_train_subjects

    def split(self, X, y, groups):
        """Split epochs, with as many training subjects."""
        for number, (train, test) in enumerate(LeaveOneGroupOut().split(X, y, groups)):
            others = np.unique(groups[train])
            order = np.random.default_rng([0, number]).permutation(len(others))
            drawn = others[order[: self.n_train_subjects]]
            yield train[np.isin(groups[train], drawn)], test

    def __str__(self):
        return f"leave-one-subject-out, {self.n_train_subjects} to train on"


def run(args):
    """Score the pipelines that are named, for every number of training subjects."""
    pipelines = partial(unprepared_pipelines, names=args.pipelines)
    load = partial(prepared, subjects=args.subjects)
    splitters = [LeaveOneSubjectOut(number) for number in args.sizes]
    parts = [run_folds(pipelines, load, args.tasks, args, cv=one) for one in splitters]
    return pd.concat(parts, ignore_index=True)


def merge(scores):
    """Put rows in place of older ones, in the order of the benchmark."""
    scores = merged(scores, TABLE, KEY)
    place = scores["pipeline"].map({name: i for i, name in enumerate(BENCHMARK_PIPELINES)})
    by = ["information", "task", "place", "n_train_subjects", "seed", "subject"]
    return scores.assign(place=place).sort_values(by, ignore_index=True).drop(columns="place")


def table(scores):
    """Make a table of means, a column for each number of training subjects."""
    sizes = sorted(scores["n_train_subjects"].unique())
    keys = ["information", "task", "pipeline"]
    means = scores.groupby([*keys, "n_train_subjects"], sort=False)["balanced_accuracy"].mean()
    lines = ["| " + " | ".join([*keys, *map(str, sizes)]) + " |", "|---" * (3 + len(sizes)) + "|"]
    for key, row in means.unstack().iterrows():
        cells = ["" if pd.isna(value) else digits(value) for value in row[sizes]]
        lines.append("| " + " | ".join([*key, *cells]) + " |")
    said = [
        "Mean balanced accuracy over the test subjects, each left out once, for that many training "
        "subjects",
        *said_seeds(scores, ["information", "task", "n_train_subjects"]),
    ]
    return f"{'. '.join(said)}.\n\n{chr(10).join(lines)}\n"


def summary(scores, information="strict"):
    """Say in a sentence how scores of some pipelines grow."""
    rows = scores[(scores["information"] == information) & (scores["task"] == TASK)]
    means = rows.groupby(["pipeline", "n_train_subjects"])["balanced_accuracy"].mean().unstack()
    grown = [
        f"{name} {', '.join(map(digits, means.loc[name]))}"
        for name in (BENCHMARK_PIPELINES[-1], "EEGNet", "CSP+LDA mirrored", "CSP+LDA")
    ]
    sizes = ", ".join(map(str, means.columns))
    return f"`{TASK}`, {information}, trained on {sizes} subjects: {'; '.join(grown)}."


def main():
    options = parser(__doc__, tasks=(TASK,), folds=None)
    names = ("CSP+LDA", "tangent space+LR", "skeegformer")
    options.add_argument("--pipelines", nargs="*", default=names, help="none: only make the table")
    options.add_argument("--sizes", type=int, nargs="+", default=(2, 4, 8, 11))
    args = options.parse_args()
    os.environ.setdefault("MNE_LOGGING_LEVEL", "ERROR")  # reaches the processes that train

    RESULTS.mkdir(exist_ok=True)
    if args.tasks and args.pipelines:
        scores = merge(run(args))
        keep(scores, TABLE)
    scores = pd.read_csv(TABLE)
    with replacing(TABLE.with_suffix(".md")) as path:
        path.write_text(table(scores), encoding="utf-8")
    for kind, part in scores.groupby("information"):
        by_subject = ["task", "pipeline", "n_train_subjects", "subject"]
        means = part.groupby(by_subject, sort=False)["balanced_accuracy"].mean().reset_index()
        axes = {"x": "n_train_subjects", "y": "balanced_accuracy", "hue": "pipeline"}
        grid = sns.relplot(means, **axes, col="task", kind="line", marker="o")
        with replacing(RESULTS / f"learning_curve_{kind}.png") as path:
            grid.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
