"""How scores of unseen subjects grow with the number of subjects to train on.

Every subject is tested by models of 2, 4, 8 and 11 of the others; those of a smaller number are
among those of a larger one. Rows of the pipelines and seeds that are named replace older ones in
``benchmarks/results/learning_curve.csv``; table and figure are made from all rows::

    python benchmarks/learning_curve.py
    python benchmarks/learning_curve.py --pipelines EEGNet   # where braindecode is installed

Finished fits are kept in ``--store``: killed and started again, it goes on where it was.
"""

import argparse
import os
from functools import partial
from pathlib import Path

import pandas as pd
from merged import digits, finished, keep, merged, said_seeds
from prepared import SUBJECTS, prepared, unprepared_pipelines

from skeegformer import LearningCurveDisplay, LeaveOneSubjectOut
from skeegformer._files import replacing
from skeegformer.baselines import BENCHMARK_PIPELINES
from skeegformer.evaluation import run_benchmark

HERE = Path(__file__).parent
RESULTS = HERE / "results"
TABLE = RESULTS / "learning_curve.csv"
KEY = ["task", "information", "pipeline", "n_train_subjects", "seed"]


def run(args):
    """Score the pipelines that are named, for every number of training subjects."""
    parts = [
        finished(
            run_benchmark(
                partial(unprepared_pipelines, names=args.pipelines),
                partial(prepared, subjects=args.subjects),
                args.tasks,
                protocol=LeaveOneSubjectOut(n_train_subjects=number),
                information=args.information,
                seeds=args.seeds,
                store=args.store,
                n_jobs=args.jobs,
                verbose=1,
            )
        )
        for number in args.sizes
    ]
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tasks", nargs="+", default=("fist-imagination",))
    parser.add_argument(
        "--pipelines", nargs="*", default=("CSP+LDA", "tangent space+LR", "skeegformer")
    )
    parser.add_argument("--information", nargs="+", default=("strict", "transductive"))
    parser.add_argument("--sizes", type=int, nargs="+", default=(2, 4, 8, 11))
    parser.add_argument("--subjects", type=int, nargs="+", default=SUBJECTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=(0,), help="which, such as 0 1 2")
    parser.add_argument("--jobs", type=int, default=-1)
    parser.add_argument("--store", type=Path, default=HERE / "store", help="finished fits")
    args = parser.parse_args()
    os.environ.setdefault("MNE_LOGGING_LEVEL", "ERROR")  # reaches the processes that train

    RESULTS.mkdir(exist_ok=True)
    if args.pipelines:
        scores = merge(run(args))
        keep(scores, TABLE)
    scores = pd.read_csv(TABLE)
    with replacing(TABLE.with_suffix(".md")) as path:
        path.write_text(table(scores), encoding="utf-8")
    for kind, part in scores.groupby("information"):
        display = LearningCurveDisplay.from_scores(part.drop(columns="protocol"))
        with replacing(RESULTS / f"learning_curve_{kind}.png") as path:
            display.figure_.savefig(path, dpi=120, bbox_inches="tight")


if __name__ == "__main__":
    main()
