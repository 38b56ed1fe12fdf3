"""What training and prediction of each network of the benchmark cost, all in one run.

Every network is trained as in the table of cross-subject scores, on one fold, and predicts the
others; networks have their turns, so that all of them share whatever else the machine does. An
epoch counts as seen each time that it, or its mirror image, takes part in a training step.

Writes ``benchmarks/results/cost.csv``, a row for each turn, and ``cost.md``, anew after every fit.
Those of braindecode are left out where it is not installed::

    OMP_NUM_THREADS=1 python benchmarks/cost.py --turns 2
"""

import argparse
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from prepared import SUBJECTS, prepared
from sklearn.model_selection import GroupKFold

from skeegformer._utils.files import replacing
from skeegformer.training import NetworkClassifier

RESULTS = Path(__file__).parent / "results"
REFERENCE = "EEGNet"


def networks(task, names):
    """Make the classifiers that train a network, all or those that are named."""
    from skeegformer.baselines import benchmark_pipelines

    found = {
        name: pipeline[-1].set_params(random_state=0)
        for name, pipeline in benchmark_pipelines("strict", task=task).items()
        if isinstance(pipeline[-1], NetworkClassifier) and (not names or name in names)
    }
    # Whoever stops by itself takes longest.
    return dict(sorted(found.items(), key=lambda item: item[1].early_stopping))


def measure(classifier, train, test):
    """Fit and predict once."""
    X, y, groups = train
    start = time.perf_counter()
    classifier.fit(X, y, groups=groups)
    fit_seconds = time.perf_counter() - start
    start = time.perf_counter()
    classifier.predict(test)
    predict_seconds = time.perf_counter() - start
    codes = np.searchsorted(classifier.classes_, y[~classifier.held_out(y, groups)])
    n_passes = len(classifier.history_)
    return {
        "n_weights": sum(p.numel() for p in classifier.net_.module_.parameters()),
        "n_passes": n_passes,
        "n_seen": n_passes * len(codes),
        "fit_seconds": fit_seconds,
        "n_predicted": len(test),
        "predict_seconds": predict_seconds,
    }


def run(args):
    """Measure all networks, turn by turn, and write a row for each turn."""
    from skeegformer.evaluation._fold import one_thread

    X, y, groups = prepared(args.task, args.subjects)
    rows_train, rows_test = next(GroupKFold(4).split(y, y, groups))
    train = X[rows_train], y[rows_train], groups[rows_train]
    rows = []
    with one_thread():
        for turn in range(args.turns):
            for name, classifier in networks(args.task, args.pipelines).items():
                try:
                    row = measure(classifier, train, X[rows_test])
                except ImportError as error:
                    if not turn:
                        print(f"{name} is left out: {error}")
                    continue
                rows.append({"network": name, "turn": turn, **row})
                print(f"{name}: {row['fit_seconds']:.1f} s", flush=True)
                write(pd.DataFrame(rows), args, len(rows_train))


def write(rows, args, n_train):
    """Write the rows and the table."""
    args.results.mkdir(parents=True, exist_ok=True)
    with replacing(args.results / "cost.csv") as path:
        rows.to_csv(path, index=False, float_format="%.4f")
    with replacing(args.results / "cost.md") as path:
        path.write_text(table(rows, args.task, n_train), encoding="utf-8")


def table(rows, task, n_train):
    """Make the table, of the fastest turn of each network."""
    best = rows.groupby("network", sort=False).min()
    training = best["n_seen"] / best["fit_seconds"]
    prediction = best["n_predicted"] / best["predict_seconds"]
    reference = training.get(REFERENCE)
    n_turns = rows["turn"].nunique()
    turns = "one turn" if n_turns == 1 else f"the fastest of {n_turns} turns"
    lines = [
        f"One fold of `{task}` ({n_train} epochs of 64 channels at 80 Hz to train on), one thread, "
        f"torch {version('torch').partition('+')[0]}, {platform.machine()}; {turns}. *seen*: "
        "epochs in training steps, mirror images counted; the rate is that of the whole `fit`, and "
        f"relative to {REFERENCE}'s in the column after.",
        "",
        "| network | weights | passes | fit (s) | seen | seen/s | relative | predicted/s |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, row in best.iterrows():
        relative = "–" if reference is None else f"{training[name] / reference:.2f}"
        lines.append(
            f"| {name} | {row['n_weights']:.0f} | {row['n_passes']:.0f} | "
            f"{row['fit_seconds']:.1f} | {row['n_seen']:.0f} | {training[name]:.0f} | {relative} | "
            f"{prediction[name]:.0f} |"
        )
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--task", default="fist-imagination")
    parser.add_argument("--pipelines", nargs="*", default=(), help="default: every network")
    parser.add_argument("--subjects", type=int, nargs="+", default=SUBJECTS)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder to write to")
    args = parser.parse_args()
    os.environ.setdefault("MNE_LOGGING_LEVEL", "ERROR")

    run(args)
    print((args.results / "cost.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
