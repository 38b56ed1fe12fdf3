"""Scores of variants of the same fits, side by side: what benchmarks of one question share."""

import argparse
import os
from pathlib import Path

import pandas as pd
from merged import digits, finished, keep, merged, said_seeds
from prepared import SUBJECTS

from skeegformer._files import replacing
from skeegformer.evaluation import SubjectFolds, run_benchmark

TASKS = ("fist-imagination", "fist_feet-imagination")


def parser(description):
    """Make a parser with the options that all of them have."""
    made = argparse.ArgumentParser(description=description.split("\n")[0])
    made.add_argument("--tasks", nargs="*", default=TASKS, help="none: only make the table")
    made.add_argument("--information", nargs="+", default=("strict", "transductive"))
    made.add_argument("--subjects", type=int, nargs="+", default=SUBJECTS)
    made.add_argument("--seeds", type=int, nargs="+", default=(0,), help="which, such as 0 1 2")
    made.add_argument("--folds", type=int, default=4)
    made.add_argument("--jobs", type=int, default=-1)
    store = Path(__file__).parent / "store"
    made.add_argument("--store", type=Path, default=store, help="finished fits")
    return made


def run_folds(pipelines, load, tasks, args):
    """Score pipelines on folds of whole subjects, with the options of `parser`."""
    result = run_benchmark(
        pipelines,
        load,
        tasks,
        protocol=SubjectFolds(args.folds),
        information=args.information,
        seeds=args.seeds,
        store=args.store,
        n_jobs=args.jobs,
        verbose=1,
    )
    return finished(result)


def renew(path, column, names, score, args, note=""):
    """Score all tasks, put the rows into a table, and write and print the means of all rows.

    Parameters
    ----------
    path : Path
        CSV with the rows; the means go into the Markdown file beside it.
    column : str
        What the column that names the variants is called.
    names : list of str
        The variants, in the order of the columns of means.
    score : callable
        Takes a task; yields the name of each variant and its rows.
    args : Namespace
        Of `parser`.
    note : str
        What to say before the means.
    """
    os.environ.setdefault("MNE_LOGGING_LEVEL", "ERROR")  # reaches the processes that train
    key = ["task", "information", "pipeline", "seed", column]
    for task in args.tasks:
        parts = [rows.assign(**{column: name}) for name, rows in score(task)]
        scores = pd.concat(parts, ignore_index=True)
        keep(merged(scores, path, key, alike=("subject", "protocol")), path)
    text = _means(pd.read_csv(path), column, names, note)
    with replacing(path.with_suffix(".md")) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(text)


def _means(scores, column, names, note):
    """Make a table of means, a column for each variant."""
    rows = ["information", "task", "pipeline"]
    scores = scores.sort_values(rows[:2], kind="stable")  # pieces came in any order
    means = scores.groupby([*rows, column, "seed", "subject"], sort=False)["balanced_accuracy"]
    means = means.mean().groupby([*rows, column], sort=False).mean().unstack()[list(names)]
    said = [
        f"Mean balanced accuracy of {scores['subject'].nunique()} subjects that were not trained "
        f"on, in {scores['fold'].nunique()} folds",
        *said_seeds(scores, ["information", "task", column]),
    ]
    lines = [
        f"{'. '.join(said)}.{note}",
        "",
        f"| {' | '.join(rows)} | " + " | ".join(names) + " |",
        "|---" * len(rows) + "|---:" * len(names) + "|",
    ]
    for labels, row in means.iterrows():
        lines.append("| " + " | ".join([*labels, *map(digits, row)]) + " |")
    return "\n".join(lines) + "\n"
