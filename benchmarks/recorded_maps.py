"""Whether maps of real recordings show what the field expects, on people who were not trained on.

Open or closed eyes (8-13 Hz) should show the occiput, and imagined movements of the left or right
fist (8-30 Hz) the hand areas. The cue of a movement appears on one side of the screen, and eyes
move there within 0.5 s: maps of fists are made of whole epochs, and of what follows 0.5 s and 1 s
after the cue. Models are trained on some people and explain the others, in folds of whole subjects,
with ``adapt=False`` and ``True``, for several seeds. Of every map: area under the
ROC curve of the expected electrodes, by person with an interval and in the mean map, its first
electrodes, and the rank correlation of the mean maps of two seeds.

Writes ``benchmarks/results/recorded_maps.md`` anew after every task::

    OMP_NUM_THREADS=1 python benchmarks/recorded_maps.py
"""

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from prepared import SUBJECTS, in_band
from scipy.stats import sem, spearmanr, t
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

from skeegformer import AttentionExplainer, EEGTransformerClassifier
from skeegformer._utils.files import replacing

RESULT = Path(__file__).parent / "results" / "recorded_maps.md"
OCCIPUT = ["O1", "Oz", "O2", "PO7", "PO3", "POz", "PO4", "PO8", "Iz"]
HANDS = ["C5", "C3", "C1", "C2", "C4", "C6", "FC3", "FC1", "FC2", "FC4", "CP3", "CP1", "CP2", "CP4"]
TASKS = {  # band, mirror images, expected electrodes, starts of epochs in seconds after the cue
    "baseline-eyes": ((8.0, 13.0), {}, OCCIPUT, (0.0,)),
    "fist-imagination": ((8.0, 30.0), "auto", HANDS, (0.0, 0.5, 1.0)),
}
METHODS = ("rollout", "gradient-rollout", "integrated-gradients", "occlusion")
N_OCCLUDED = 10  # epochs of each person, since occlusion takes long


def explain(task, start, adapt, seed, n_folds):
    """Explain everybody by a model of others: the mean absolute map of each subject, by method."""
    band, mirror, _, _ = TASKS[task]
    X, y, subjects = in_band(task, band, start)
    found = {method: [] for method in METHODS}
    for train, test in GroupKFold(n_folds).split(y, y, subjects):
        classifier = EEGTransformerClassifier(mirror=mirror, adapt=adapt, random_state=seed)
        classifier.fit(X[train], y[train], groups=subjects[train])
        for method in METHODS:
            rows = test
            if method == "occlusion":
                place = pd.Series(test).groupby(subjects[test]).cumcount()
                rows = test[place < N_OCCLUDED]
            explainer = AttentionExplainer(method, target="true", random_state=seed)
            explanation = explainer.explain(classifier, X[rows], y[rows], groups=subjects[rows])
            values = pd.DataFrame(np.abs(explanation.values), columns=explanation.ch_names)
            found[method].append(values.groupby(subjects[rows]).mean())
    return {method: pd.concat(parts) for method, parts in found.items()}


def rows(task, maps):
    """Describe the maps of all seeds, a row for each method."""
    _, _, names, _ = TASKS[task]
    for method in METHODS:
        seeds = [found[method] for found in maps]
        expected = seeds[0].columns.isin(names)
        everybody = pd.concat(seeds).groupby(level=0).mean()
        aucs = [roc_auc_score(expected, values) for values in everybody.to_numpy()]
        low, high = t.interval(0.95, len(aucs) - 1, np.mean(aucs), sem(aucs))
        means = [one.mean() for one in seeds]
        agreement = [spearmanr(a, b).statistic for a, b in combinations(means, 2)]
        mean = everybody.mean()
        yield [
            method,
            f"{np.mean(aucs):.2f} [{low:.2f}, {min(high, 1):.2f}]",
            f"{roc_auc_score(expected, mean):.2f}",
            f"{np.mean(agreement):.2f}" if agreement else "–",
            " ".join(mean.sort_values(ascending=False).index[:6]),
        ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1, 2))
    parser.add_argument("--folds", type=int, default=4)
    args = parser.parse_args()
    head = ["AUC by subject", "AUC of the mean map", "seeds agree", "first electrodes"]
    lines = [
        f"Maps of {len(SUBJECTS)} subjects from models that were not trained on them ({args.folds} "
        f"folds; seeds {', '.join(map(str, args.seeds))}), as absolute values for the true class. "
        f"Area under the ROC curve for {', '.join(OCCIPUT)} with eyes (8-13 Hz) and for "
        f"{', '.join(HANDS)} with fists (8-30 Hz), with 95 % t intervals over subjects; rank "
        "correlation between the mean maps of two seeds. Made by `benchmarks/recorded_maps.py`.",
        "",
        f"| task | from | adapt | method | {' | '.join(head)} |",
        "|---" * (4 + len(head)) + "|",
    ]
    for task, start, adapt in [
        (task, start, adapt)
        for task, (_, _, _, starts) in TASKS.items()
        for start in starts
        for adapt in (False, True)
    ]:
        maps = [explain(task, start, adapt, seed, args.folds) for seed in args.seeds]
        of = f"{task} | {start:g} s | {adapt}"
        lines += [f"| {of} | {' | '.join(row)} |" for row in rows(task, maps)]
        with replacing(RESULT) as path:
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main()
