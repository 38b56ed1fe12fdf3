"""What the default scores where its settings are chosen without the subjects that are tested.

Settings of the default were found on the subjects of the table, so its score there is too good by
some amount. Here every fold chooses among a few of them by scores of inner folds, over its training
subjects alone, and tests its choice on the others. The scores of each setting by itself tell on
the way what mirroring is worth::

    python benchmarks/nested_choice.py

Writes ``benchmarks/results/nested_choice.csv``, a row for each setting and test subject, and
``nested_choice.md``, task by task, in place of older rows of the same task, kind of information and
seed.
Finished fits are kept in ``--store``: killed and started again, it goes on where it was.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
from merged import digits, keep, merged, said_seeds
from prepared import prepared, unprepared
from sklearn.base import clone
from sklearn.model_selection import GroupKFold
from variants import parser, run_folds

from skeegformer._utils.files import replacing
from skeegformer.baselines import BENCHMARK_PIPELINES, benchmark_pipelines
from skeegformer.evaluation.tasks import STANDARD_TASKS

TABLE = Path(__file__).parent / "results" / "nested_choice.csv"
SETTINGS = {
    "default": {},
    "learning rate 1e-3": {"lr": 1e-3},
    "weight decay 5": {"weight_decay": 5.0},
    "without mirroring": {"mirror": None},
}
CHOICE = "chosen in inner folds"
KEY = ["information", "task"]


def score(task, information, args):
    """Score every setting, and the choice, on the test subjects of every fold."""
    X, y, groups = prepared(task, args.subjects)
    ours = unprepared(benchmark_pipelines(information, task=task)[BENCHMARK_PIPELINES[-1]])
    settings = {name: _with(ours, **params) for name, params in SETTINGS.items()}

    def run(rows, n_folds):
        return run_folds(
            lambda information, task: settings,
            lambda task: (X[rows], y[rows], groups[rows]),
            task,
            args,
            cv=n_folds,
            information=information,
        )

    tested = run(np.arange(len(y)), args.folds)
    parts = [tested.assign(setting=tested["pipeline"], chosen="")]
    for fold, (train, _) in enumerate(GroupKFold(args.folds).split(y, y, groups)):
        inner = run(train, args.inner_folds)
        means = inner.groupby(["seed", "pipeline"], sort=False)["balanced_accuracy"].mean()
        for seed, name in means.groupby("seed").idxmax():
            is_choice = tested["pipeline"].eq(name) & tested["seed"].eq(seed)
            is_choice &= tested["fold"].eq(fold)
            parts.append(tested[is_choice].assign(setting=CHOICE, chosen=name))
    return pd.concat(parts, ignore_index=True).drop(columns="pipeline")


def _with(pipeline, **params):
    """Change parameters of the classifier, which is the last step."""
    pipeline = clone(pipeline)
    pipeline[-1].set_params(**params)
    return pipeline


def merge(scores):
    """Put rows in place of older ones of the same tasks and seeds."""
    by = [*KEY, "seed"]
    scores = merged(scores, TABLE, by, alike=("subject", "protocol")).fillna({"chosen": ""})
    return scores.sort_values(by, kind="stable", ignore_index=True)


def table(scores):
    """Make the table of means, with how often each setting was chosen."""
    means = scores.groupby([*KEY, "setting"], sort=False)["balanced_accuracy"].mean().unstack()
    choices = scores[scores["setting"] == CHOICE]
    choices = choices.groupby([*KEY, "seed", "fold"], sort=False)["chosen"].first()
    lines = [
        "| " + " | ".join([*KEY, *means.columns, "choices"]) + " |",
        "|---|---" + "|---:" * means.shape[1] + "|---|",
    ]
    for key, row in means.iterrows():
        chosen = ", ".join(f"{n} x {name}" for name, n in choices[key].value_counts().items())
        cells = list(map(digits, row))
        lines.append("| " + " | ".join([*key, *cells, chosen]) + " |")
    for information, rows in means.groupby("information", sort=False):
        cells = list(map(digits, rows.mean()))
        lines.append("| " + " | ".join([information, "mean", *cells, ""]) + " |")
    said = said_seeds(scores.assign(pipeline=BENCHMARK_PIPELINES[-1]), KEY)
    said = said or [f"Seed {scores['seed'].iloc[0]}"]
    return (
        f"Mean balanced accuracy of {scores['subject'].nunique()} subjects that were not trained "
        f"on, in {scores['fold'].nunique()} folds. {'. '.join(said)}. "
        f"*{CHOICE}*: each fold takes the setting with the highest mean over the subjects of "
        f"inner folds, which are among those it trains on.\n\n{chr(10).join(lines)}\n"
    )


def write_table():
    """Make the table of all rows."""
    text = table(pd.read_csv(TABLE, keep_default_na=False))
    with replacing(TABLE.with_suffix(".md")) as path:
        path.write_text(text, encoding="utf-8")
    return text


def main():
    options = parser(__doc__, tasks=STANDARD_TASKS)
    options.add_argument("--inner-folds", type=int, default=3)
    args = options.parse_args()
    os.environ.setdefault("MNE_LOGGING_LEVEL", "ERROR")  # reaches the processes that train

    for kind in args.information:
        for task in args.tasks:
            keep(merge(score(task, kind, args)), TABLE)
            write_table()
    print(write_table())


if __name__ == "__main__":
    main()
