"""Tables of scores whose true means are known."""

from itertools import product

import numpy as np
import pandas as pd

TASKS = ("baseline-eyes", "fist-imagination", "fist_feet-imagination", "four-class-imagination")


def make_scores(
    n_pipelines=3,
    n_subjects=12,
    tasks=TASKS[:1],
    *,
    kinds=("strict",),
    seeds=(0,),
    gain=0.04,
    n_epochs=45,
    random_state=0,
):
    """Simulate a benchmark; each pipeline is better than the one before by `gain`.

    The last pipeline has the seeds, the others the first one only.
    """
    rng = np.random.default_rng(random_state)
    names = ["chance", "CSP+LDA", "tangent space+LR", "MDM", "EEGNet", "EEGTransformer"]
    names = (names + [f"network {k} (aligned)" for k in range(30)])[:n_pipelines]
    tables = []
    for k_task, task in enumerate(tasks):
        skill = rng.normal(0.68 - 0.05 * k_task, 0.09, size=n_subjects)
        for (k_kind, kind), (k, name) in product(enumerate(kinds), enumerate(names)):
            for seed in seeds if k == n_pipelines - 1 else seeds[:1]:
                noise = rng.normal(0, 0.04, n_subjects)
                truth = np.clip(skill + gain * (k - 1) + 0.03 * k_kind + noise, 0.3, 1.0)
                score = rng.binomial(n_epochs, truth) / n_epochs
                rows = {
                    "task": task,
                    "protocol": "leave-one-subject-out",
                    "information": kind,
                    "pipeline": name,
                    "seed": seed,
                    "fold": range(n_subjects),
                    "subject": range(1, n_subjects + 1),
                    "balanced_accuracy": 0.5 if name == "chance" else score,
                    "roc_auc": np.minimum(1.0, score + 0.05),
                    "brier_score": np.abs(rng.normal(0.1, 0.03, n_subjects)),
                    "fit_seconds": 0.5 + 3.0 * k,
                    "versions": "skeegformer 0.1.0",
                }
                tables.append(pd.DataFrame(rows))
    return pd.concat(tables, ignore_index=True)
