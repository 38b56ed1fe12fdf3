"""Explanations of real recordings, with intervals over subjects and a verdict on each map.

Models are trained on some subjects and explained on the others, in four folds; the explanations of
all test subjects are joined. Writes figures to ``docs/images`` and what was found, as a part of
the documentation's page on explanations, to ``benchmarks/results/explain_recordings.rst``::

    python benchmarks/explain_recordings.py
"""

import argparse
import warnings
from pathlib import Path

import matplotlib
import numpy as np
from prepared import SUBJECTS
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold

ROOT = Path(__file__).parent.parent
METHOD_LABELS = {
    "gradient-rollout": "gradient rollout",
    "integrated-gradients": "integrated gradients",
}
METHODS = ("rollout", "gradient-rollout", "integrated-gradients", "occlusion")
N_TESTED = 60  # epochs of each fold that the maps are put to the test on
# What the field expects, to be compared with what is found.
PLACES = {
    "baseline-eyes": ("occipital", ["O1", "Oz", "O2", "PO7", "PO3", "POz", "PO4", "PO8"]),
    "fist-imagination": (
        "central",
        ["C5", "C3", "C1", "C2", "C4", "C6", "FC3", "FC4", "CP3", "CP4"],
    ),
}


def load(task):
    """Load all subjects, without blinks, common reference and differences in amplitude."""
    from skeegformer import load_eegmmi

    X, y, metadata = load_eegmmi(task, subjects=SUBJECTS)
    subjects = metadata["subject"].to_numpy()
    X = X.copy().drop_channels(["T9", "T10", "Iz"])
    X = X.set_eeg_reference("average", projection=False, verbose="ERROR")
    X = X.filter(7.0, 30.0, method="iir", verbose="ERROR").resample(80.0, verbose="ERROR")
    data = X.get_data(copy=False)
    for subject in np.unique(subjects):
        rows = subjects == subject
        data[rows] *= 1e-5 / np.exp(np.log(data[rows].std(axis=2)).mean(axis=0))[:, None]
    return X, y, subjects


def explain_test_subjects(task, seed, n_folds):
    """Train and explain fold by fold: joined explanations, and what each fold's test found."""
    from skeegformer import AttentionExplainer, EEGTransformerClassifier, concatenate_explanations

    X, y, subjects = load(task)
    found = {method: [] for method in METHODS}
    tests = {method: [] for method in METHODS}
    for train, test in GroupKFold(n_folds).split(y, y, subjects):
        classifier = EEGTransformerClassifier(random_state=seed).fit(X[train], y[train])
        for method in METHODS:
            explainer = AttentionExplainer(method, target="true", n_repeats=3, random_state=seed)
            explanation = explainer.explain(classifier, X[test], y[test])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = explanation.evaluate(max_epochs=N_TESTED, random_state=seed)
            tests[method].append(result)
            found[method].append(explanation)
        print(task, "fold", len(found["rollout"]), "of", n_folds, flush=True)
    return {method: concatenate_explanations(parts) for method, parts in found.items()}, tests


def describe(task, explanations, tests):
    """Put the findings in words and numbers."""
    first = explanations["rollout"]
    parts = [first.select(subject=subject) for subject in np.unique(first.subjects)]
    scores = [balanced_accuracy_score(part.y, part.predictions) for part in parts]
    where, names = PLACES[task]
    header = [
        "method",
        f"share of {where} electrodes",
        "first five channels",
        "deletion",
        "insertion",
        "LeRF − MoRF",
        "permutation",
        "random model",
        "folds that pass all tests",
    ]
    rows = [header] + [_row(method, explanations[method], tests[method], names) for method in tests]
    table = ["   " + ",".join(f'"{cell}"' for cell in row) for row in rows]
    by_subject = ", ".join(f"{score:.2f}" for score in scores)
    return "\n\n".join(
        [
            f"**{task}.** {len(first)} epochs of {len(scores)} subjects; "
            f"balanced accuracy {np.mean(scores):.2f} (by subject: {by_subject}).",
            f"Share of the {where} electrodes ({', '.join(names)}: {len(names)} of "
            f"{len(first.ch_names)}, or {len(names) / len(first.ch_names):.0%}) in each map, with "
            "its 95 % interval over subjects; then means over folds of the scores of deletion and "
            "insertion (random 0, oracle 1), of LeRF − MoRF, of the rank correlations with "
            "permutation importance and with the maps of random models, all from "
            f"{N_TESTED} epochs of each fold; without folds whose oracle is no better than random.",
            ".. csv-table::\n   :header-rows: 1\n\n" + "\n".join(table),
            "Verdict on integrated gradients in the first fold: "
            f"*{tests['integrated-gradients'][0].verdict}*",
        ]
    )


def _row(method, explanation, tests, names):
    share, low, high = _share(explanation, names)
    order = np.argsort(explanation.feature_importances_)[::-1][:5]
    figures = (
        np.array([test.figures[name] for test in tests])
        for name in (
            "deletion_score",
            "insertion_score",
            "lerf_minus_morf",
            "permutation_correlation",
            "randomized_model",
        )
    )
    return [
        method,
        f"{share:.2f} [{low:.2f}, {high:.2f}]",
        ", ".join(explanation.ch_names[channel] for channel in order),
        *("–" if np.isnan(folds).all() else f"{np.nanmean(folds):.2f}" for folds in figures),
        f"{sum(all(test.passed.values()) for test in tests)} of {len(tests)}",
    ]


def _share(explanation, names):
    """Share of some channels in the positive part of each subject's mean map, with its interval."""
    from skeegformer.explain import bootstrap_intervals

    means = explanation.subject_means(by=None).clip(lower=0)
    shares = means[names].sum(axis=1) / means.sum(axis=1)
    table = bootstrap_intervals(shares.to_numpy()[:, None], random_state=0)
    return tuple(table.iloc[0][["mean", "low", "high"]])


def draw(task, explanations, tests, folder):
    """Draw maps with the difference between conditions, bars with intervals, and curves."""
    stem = task.split("-")[0]
    a, b = explanations["rollout"].classes
    text = []
    test = explanations["rollout"].compare(a, b, random_state=0)
    for method in ("rollout", "integrated-gradients"):
        display = explanations[method].plot_topomap(
            by="class", difference=(a, b), mask=test.mask, names=4
        )
        display.figure_.savefig(folder / f"{stem}_{method}.png", dpi=120)
        label = METHOD_LABELS[method]
        text.append(
            f".. figure:: images/{stem}_{method}.png\n\n   {label[0].upper()}{label[1:]}, "
            f"{task}; white dots: channels of significant clusters of attention rollout. "
            + " ".join(repr(test).split())
        )
    bars = explanations["integrated-gradients"].plot_bars()
    bars.figure_.savefig(folder / f"{stem}_bars.png", dpi=120)
    curves = tests["integrated-gradients"][0].plot()
    curves.figure_.savefig(folder / f"{stem}_faithfulness.png", dpi=120)
    text += [
        f".. figure:: images/{stem}_bars.png\n\n   Integrated gradients, {task}: the largest "
        "channels, with 95 % intervals over subjects.",
        f".. figure:: images/{stem}_faithfulness.png\n\n   Integrated gradients, {task}: curves "
        "of deletion and insertion in the first fold.",
    ]
    return "\n\n".join(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", default=list(PLACES), choices=list(PLACES))
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--images", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    matplotlib.use("Agg")
    parts = [".. Made by python benchmarks/explain_recordings.py"]
    for task in options.tasks:
        explanations, tests = explain_test_subjects(task, options.seed, options.folds)
        parts.append(describe(task, explanations, tests))
        parts.append(draw(task, explanations, tests, options.images))
    text = "\n\n".join(parts) + "\n"
    (options.results / "explain_recordings.rst").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
