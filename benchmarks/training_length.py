"""Whether networks of the table of cross-subject scores would do better if they trained longer.

All of them are trained for the same number of steps there, as many as were chosen for ours. Here
some train four times as long, on the same folds with the same seeds, the learning rate coming down
as slowly.

Puts rows in place of older ones of the same fits into ``benchmarks/results/training_length.csv``,
and makes ``training_length.md`` of all rows. Networks of braindecode need an environment of their
own::

    python benchmarks/training_length.py --jobs 2
"""

import argparse
import os
from functools import partial
from pathlib import Path

import pandas as pd
from merged import finished, keep, merged
from prepared import SUBJECTS, prepared, unprepared_pipelines

from skeegformer._files import replacing
from skeegformer.evaluation import SubjectFolds, run_benchmark

HERE = Path(__file__).parent
TABLE = HERE / "results" / "training_length.csv"
# Passes over the some 405 epochs of a fold that are four times those of max_epochs="auto", which
# for 600 steps are 46, or 23 where mirror images join in.
LONGER = {"ShallowFBCSPNet": 184, "Deep4Net": 184, "EEGNet": 184, "skeegformer": 92}
LENGTHS = {"as in the table": None, "four times as long": LONGER}
KEY = ["task", "information", "pipeline", "seed", "training"]


def make(kind, task, names, lengths):
    """Make pipelines of the table, with the lengths that are given."""
    pipelines = unprepared_pipelines(kind, task, names)
    for name, pipeline in pipelines.items():
        if lengths:
            pipeline[-1].set_params(max_epochs=lengths[name])
    return pipelines


def run(task, args):
    """Score every network with each length of training."""
    parts = []
    for training, lengths in LENGTHS.items():
        result = run_benchmark(
            partial(make, names=args.pipelines, lengths=lengths),
            partial(prepared, subjects=args.subjects),
            task,
            protocol=SubjectFolds(args.folds),
            information=args.information,
            seeds=args.seeds,
            store=args.store,
            n_jobs=args.jobs,
            verbose=1,
        )
        parts.append(finished(result).assign(training=training))
    return pd.concat(parts, ignore_index=True)


def table(scores):
    """Make a table of means, a column for each length of training."""
    means = scores.groupby([*KEY, "subject"], sort=False)["balanced_accuracy"].mean()
    means = means.groupby(["information", "task", "pipeline", "training"], sort=False).mean()
    means = means.unstack()[list(LENGTHS)]
    order = {name: place for place, name in enumerate(LONGER)}
    means = means.sort_index(
        level=["information", "task", "pipeline"],
        key=lambda level: level.map(order) if level.name == "pipeline" else level,
    )
    lines = [
        f"Mean balanced accuracy of {scores['subject'].nunique()} subjects that were not trained "
        f"on, in {scores['fold'].nunique()} folds; "
        f"seeds {', '.join(map(str, sorted(set(scores['seed']))))}.",
        "",
        "| information | task | network | " + " | ".join(LENGTHS) + " |",
        "|---|---|---" + "|---:" * len(LENGTHS) + "|",
    ]
    for key, row in means.iterrows():
        lines.append("| " + " | ".join([*key, *(f"{value:.3f}" for value in row)]) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tasks", nargs="+", default=("fist-imagination", "fist_feet-imagination"))
    parser.add_argument("--pipelines", nargs="+", default=tuple(LONGER), choices=tuple(LONGER))
    parser.add_argument("--information", nargs="+", default=("strict", "transductive"))
    parser.add_argument("--subjects", type=int, nargs="+", default=SUBJECTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=(0,), help="which, such as 0 1 2")
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--jobs", type=int, default=-1)
    parser.add_argument("--store", type=Path, default=HERE / "store", help="finished fits")
    args = parser.parse_args()
    os.environ.setdefault("MNE_LOGGING_LEVEL", "ERROR")  # reaches the processes that train

    for task in args.tasks:
        keep(merged(run(task, args), TABLE, KEY), TABLE)
    text = table(pd.read_csv(TABLE))
    with replacing(TABLE.with_suffix(".md")) as path:
        path.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
