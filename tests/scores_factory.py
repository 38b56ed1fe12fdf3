"""Tables of scores whose true means are known."""

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
    rows = []
    for k_task, task in enumerate(tasks):
        skill = rng.normal(0.68 - 0.05 * k_task, 0.09, size=n_subjects)
        for k_kind, kind in enumerate(kinds):
            for k, name in enumerate(names):
                for seed in seeds if k == n_pipelines - 1 else seeds[:1]:
                    truth = np.clip(
                        skill + gain * (k - 1) + 0.03 * k_kind + rng.normal(0, 0.04, n_subjects),
                        0.3,
                        1.0,
                    )
                    for subject, share in enumerate(truth):
                        score = (
                            0.5 if name == "chance" else rng.binomial(n_epochs, share) / n_epochs
                        )
                        rows.append(
                            {
                                "task": task,
                                "protocol": "leave-one-subject-out",
                                "information": kind,
                                "pipeline": name,
                                "seed": seed,
                                "fold": subject,
                                "subject": subject + 1,
                                "n_epochs": n_epochs,
                                "n_train_subjects": n_subjects - 1,
                                "n_train_epochs": n_epochs * (n_subjects - 1),
                                "balanced_accuracy": score,
                                "roc_auc": min(1.0, score + 0.05),
                                "brier_score": abs(rng.normal(0.1, 0.03)),
                                "fit_seconds": 0.5 + 3.0 * k,
                                "predict_seconds": 0.05,
                                "versions": "skeegformer 0.1.0",
                            }
                        )
    return pd.DataFrame(rows)
