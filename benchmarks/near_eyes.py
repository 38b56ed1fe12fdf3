"""What electrodes near the eyes tell of imagined movements.

Cues appear on one side of the screen, and whoever looks there moves the eyes: a classifier could
tell left from right by them, from the electrodes around. The scores of the benchmark once more,
without these electrodes, and with them alone.

Puts rows in place of older ones of the same tasks into ``benchmarks/results/near_eyes.csv``, and
makes ``near_eyes.md`` of all rows::

    python benchmarks/near_eyes.py --jobs 2
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
TABLE = HERE / "results" / "near_eyes.csv"
NEAR_EYES = ["Fp1", "Fpz", "Fp2", "AF7", "AF3", "AFz", "AF4", "AF8"]
NEAR_EYES += ["F7", "F5", "F6", "F8", "FT7", "FT8"]
CAPS = {
    "all 64": lambda names: names,
    f"without {len(NEAR_EYES)} near the eyes": lambda names: [
        n for n in names if n not in NEAR_EYES
    ],
    "those alone": lambda names: NEAR_EYES,
}
PIPELINES = ("CSP+LDA mirrored", "skeegformer")
KEY = ["task", "information", "pipeline", "seed", "electrodes"]


def run(task, args):
    """Score both pipelines with each set of electrodes."""
    X, y, groups = prepared(task, args.subjects)
    parts = []
    for name, choose in CAPS.items():
        cap = X.copy().pick(choose(X.ch_names))
        result = run_benchmark(
            partial(unprepared_pipelines, names=PIPELINES),
            lambda task, cap=cap: (cap, y, groups),
            task,
            protocol=SubjectFolds(args.folds),
            information=args.information,
            seeds=args.seeds,
            store=args.store,
            n_jobs=args.jobs,
            verbose=1,
        )
        parts.append(finished(result).assign(electrodes=name))
    return pd.concat(parts, ignore_index=True)


def table(scores):
    """Make a table of means, a column for each set of electrodes."""
    means = scores.groupby([*KEY, "subject"], sort=False)["balanced_accuracy"].mean()
    means = means.groupby(["information", "task", "pipeline", "electrodes"], sort=False).mean()
    means = means.unstack()[list(CAPS)]
    lines = [
        f"Mean balanced accuracy of {scores['subject'].nunique()} subjects that were not trained "
        f"on, in {scores['fold'].nunique()} folds. Near the eyes: {', '.join(NEAR_EYES)}.",
        "",
        "| information | task | pipeline | " + " | ".join(CAPS) + " |",
        "|---|---|---" + "|---:" * len(CAPS) + "|",
    ]
    for key, row in means.iterrows():
        lines.append("| " + " | ".join([*key, *(f"{value:.3f}" for value in row)]) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tasks", nargs="+", default=("fist-imagination", "fist_feet-imagination"))
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
