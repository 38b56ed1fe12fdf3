"""A benchmark to be killed: ``python killed_benchmark.py STORE LOG TABLE N_JOBS``."""

import sys

import numpy as np
import sklearn
from logging_classifier import LoggingClassifier
from sklearn.model_selection import LeaveOneGroupOut

from skeegformer.evaluation import run_benchmark


def load(task):
    """Noise whose power differs between classes, of five subjects."""
    rng = np.random.default_rng(len(task))
    X = rng.normal(size=(100, 3, 50))
    y = np.tile(["left", "right"], 50)
    X[y == "left", 0] *= 1.15
    return X, y, np.repeat(np.arange(1, 6), 20)


def run(store, log, n_jobs=1, pace=0.0):
    """Run 2 tasks x 2 pipelines x 2 seeds x 5 folds; pace 1 takes about 5 s of waiting."""
    with sklearn.config_context(enable_metadata_routing=True):
        slow, quick = (
            LoggingClassifier(str(log), seconds * pace).set_fit_request(groups=True)
            for seconds in (0.15, 0.1)
        )
    return run_benchmark(
        {"strict": {"slow": slow, "quick": quick}},
        load,
        ["one", "three"],
        cv=LeaveOneGroupOut(),
        seeds=(0, 1),
        store=store,
        n_jobs=n_jobs,
    )


if __name__ == "__main__":
    store, log, table, n_jobs = sys.argv[1:]
    run(store, log, int(n_jobs), pace=0.5).scores.to_csv(table, index=False)
