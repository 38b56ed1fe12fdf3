"""What benchmarks of unseen subjects share: options, fits, tables of variants side by side."""

import argparse
import os
from functools import partial
from itertools import compress
from pathlib import Path

import pandas as pd
from merged import digits, finished, keep, merged, said_seeds
from prepared import SUBJECTS

from skeegformer._utils.files import replacing
from skeegformer.baselines import BENCHMARK_PIPELINES
from skeegformer.evaluation import run_benchmark

TASKS = ("fist-imagination", "fist_feet-imagination")


def parser(description, *, tasks=TASKS, seeds=(0,), folds=4):
    """Make a parser with the options that all of them have; ``folds=None`` leaves out --folds."""
    made = argparse.ArgumentParser(description=description.split("\n")[0])
    made.add_argument("--tasks", nargs="*", default=tasks, help="none: only make the table")
    made.add_argument("--information", nargs="+", default=("strict", "transductive"))
    made.add_argument("--subjects", type=int, nargs="+", default=SUBJECTS)
    made.add_argument("--seeds", type=int, nargs="+", default=seeds, help="which, such as 0 1 2")
    if folds is not None:
        made.add_argument("--folds", type=int, default=folds)
    made.add_argument("--jobs", type=int, default=-1)
    made.add_argument("--device", default="cpu", help="where networks compute, such as cuda")
    store = Path(__file__).parent / "store"
    made.add_argument("--store", type=Path, default=store, help="finished fits")
    return made


def run_folds(pipelines, load, tasks, args, *, cv=None, information=None):
    """Score pipelines on subjects that they were not trained on, with the options of `parser`.

    Parameters
    ----------
    pipelines, load : callable
        As in `run_benchmark`.
    tasks : str or list of str
        As in `run_benchmark`.
    args : Namespace
        Of `parser`.
    cv : int or splitter, default=None
        As in `run_benchmark`; None takes as many folds as `args` says.
    information : str, default=None
        As in `run_benchmark`; None takes what `args` says.
    """
    result = run_benchmark(
        partial(_on_device, pipelines, args.device),
        load,
        tasks,
        cv=cv or args.folds,
        information=information or args.information,
        seeds=args.seeds,
        store=args.store,
        n_jobs=args.jobs,
        verbose=1,
    )
    return finished(result)


def _on_device(pipelines, device, information, task):
    """Make pipelines whose networks, where they have one, compute there."""
    made = pipelines(information, task=task)
    for pipeline in made.values():
        names = [name for name in pipeline.get_params() if name.endswith("__device")]
        pipeline.set_params(**dict.fromkeys(names, device))
    return made


def renew(path, column, names, score, args, note=None, as_rows=False):
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
    note : callable, default=None
        Takes all rows; says in whole sentences what to know beside the means.
    as_rows : bool, default=False
        Whether variants are rows of the table of means, for many of them.
    """
    os.environ.setdefault("MNE_LOGGING_LEVEL", "ERROR")  # reaches the processes that train
    key = ["task", "information", "pipeline", "seed", column]
    for task in args.tasks:
        parts = [rows.assign(**{column: name}) for name, rows in score(task)]
        scores = pd.concat(parts, ignore_index=True)
        keep(merged(scores, path, key, alike=("subject", "protocol")), path)
    scores = pd.read_csv(path)
    text = _means(scores, column, names, note(scores) if note else "", as_rows)
    with replacing(path.with_suffix(".md")) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(text)


def _means(scores, column, names, note, as_rows):
    """Make a table of means, a column for each variant, or a row."""
    rows = ["information", "task", "pipeline"]
    means = scores.groupby([*rows, column, "seed", "subject"])["balanced_accuracy"].mean()
    means = means.groupby([*rows, column]).mean().unstack()
    means = means[[name for name in names if name in means]]
    places = {name: place for place, name in enumerate(BENCHMARK_PIPELINES)}
    means = means.sort_index(key=lambda labels: labels.map(lambda label: places.get(label, label)))
    said = [
        f"Mean balanced accuracy of {scores['subject'].nunique()} subjects that were not trained "
        f"on, in {scores['fold'].nunique()} folds",
        *said_seeds(scores, ["information", "task", column]),
    ]
    head = f"{'. '.join(said)}. {note}".rstrip()
    if as_rows:
        several = [len(means.index.unique(name)) > 1 for name in rows]
        means = means.T
        means.columns = [", ".join(compress(labels, several)) for labels in means.columns]
        if not several[rows.index("pipeline")]:
            means["mean"] = means.mean(axis=1)
        means = means.reset_index()
    else:
        means = means.reset_index()
    cells = means.map(lambda cell: cell if isinstance(cell, str) else digits(cell))
    return f"{head}\n\n{cells.to_markdown(index=False, disable_numparse=True)}\n"
