"""Explanations of real recordings, with intervals over subjects and a verdict on each map.

Models are trained on some subjects and explained on the others, in four folds; the explanations of
all test subjects are joined. Writes figures to ``docs/images`` and what was found to
``benchmarks/results/explain_recordings.md``::

    python benchmarks/explain_recordings.py
"""

import argparse
import warnings
from pathlib import Path

import matplotlib
import numpy as np
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold

SUBJECTS = (1, 2, 3, 4, 5, 6, 7, 8, 56, 58, 60, 62)
ROOT = Path(__file__).parent.parent
METHODS = ("rollout", "gradient-rollout", "integrated-gradients", "occlusion")
# What the field expects, to be compared with what is found.
PLACES = {
    "baseline-eyes": ("occipital", ["O1", "Oz", "O2", "PO7", "PO3", "POz", "PO4", "PO8"]),
    "fist-imagination": (
        "central",
        ["C5", "C3", "C1", "C2", "C4", "C6", "FC3", "FC4", "CP3", "CP4"],
    ),
}


def load(task):
    """Load all subjects; hand areas of both sides need a local reference and equal amplitudes."""
    from skeegformer import load_eegmmi

    X, y, metadata = load_eegmmi(task, subjects=SUBJECTS)
    X = X.copy().drop_channels(["T9", "T10", "Iz"])
    subjects = metadata["subject"].to_numpy()
    if task == "baseline-eyes":
        return X.filter(None, 30.0, method="iir", verbose="ERROR"), y, subjects
    X = X.set_eeg_reference("average", projection=False, verbose="ERROR")
    X = X.filter(7.0, 30.0, method="iir", verbose="ERROR")
    data = X.get_data(copy=False)
    for subject in np.unique(subjects):
        rows = subjects == subject
        data[rows] *= 1e-5 / np.exp(np.log(data[rows].std(axis=2)).mean(axis=0))[:, None]
    return X, y, subjects


def explain_test_subjects(task, seed, n_folds):
    """Train and explain fold by fold: joined explanations, verdicts and the score by subject."""
    from skeegformer import AttentionExplainer, EEGTransformerClassifier, concatenate_explanations

    X, y, subjects = load(task)
    found = {method: [] for method in METHODS}
    verdicts = {method: [] for method in METHODS}
    for train, test in GroupKFold(n_folds).split(y, y, subjects):
        classifier = EEGTransformerClassifier(random_state=seed).fit(X[train], y[train])
        for method in METHODS:
            explainer = AttentionExplainer(method, target="true", n_repeats=3, random_state=seed)
            explanation = explainer.explain(classifier, X[test], y[test])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                verdicts[method].append(explanation.evaluate(random_state=seed))
            found[method].append(explanation)
        print(task, "fold", len(found["rollout"]), "of", n_folds, flush=True)
    return {method: concatenate_explanations(parts) for method, parts in found.items()}, verdicts


def describe(task, explanations, verdicts):
    """Put the findings in words and numbers."""
    first = explanations["rollout"]
    scores = [
        balanced_accuracy_score(part.y, part.predictions)
        for part in (first.select(subject=subject) for subject in np.unique(first.subjects))
    ]
    where, names = PLACES[task]
    lines = [
        f"## {task}",
        f"{len(first)} epochs of {len(scores)} subjects, each explained by a model that has not "
        f"seen the subject; balanced accuracy {np.mean(scores):.2f} "
        f"(by subject: {', '.join(f'{score:.2f}' for score in scores)}).",
        f"Share of the {where} electrodes ({', '.join(names)}: "
        f"{len(names) / len(first.ch_names):.0%} of all electrodes) in each map, with its 95 % "
        "bootstrap interval over subjects, and means of the folds' figures:",
        "| method | share | first five channels | deletion score | insertion score | polarity "
        "| agreement with need | random model | faithful folds |\n" + "|---" * 9 + "|",
    ]
    rows = []
    for method, explanation in explanations.items():
        share, low, high = _share(explanation, names)
        order = np.argsort(explanation.feature_importances_)[::-1][:5]
        figures = {
            name: np.mean([one.figures[name] for one in verdicts[method]])
            for name in verdicts[method][0].figures
        }
        faithful = sum(one.faithful for one in verdicts[method])
        rows.append(
            f"| {method} | {share:.2f} [{low:.2f}, {high:.2f}] | "
            f"{', '.join(explanation.ch_names[k] for k in order)} | "
            f"{figures['deletion_score']:.2f} | {figures['insertion_score']:.2f} | "
            f"{figures['polarity']:.2f} | {figures['need_correlation']:.2f} | "
            f"{figures['randomized_model']:.2f} | {faithful} of {len(verdicts[method])} |"
        )
    lines[-1] += "\n" + "\n".join(rows)
    lines.append(
        "Verdicts of the first fold: "
        + " ".join(f"**{method}**: {verdicts[method][0].verdict}" for method in explanations)
    )
    return "\n\n".join(lines)


def _share(explanation, names):
    """Share of some channels in the positive part of each subject's mean map, with its interval."""
    from skeegformer.explain import bootstrap_intervals

    means = explanation.subject_means(by=None).clip(lower=0)
    shares = means[names].sum(axis=1) / means.sum(axis=1)
    table = bootstrap_intervals(shares.to_numpy()[:, None], random_state=0)
    return tuple(table.iloc[0][["mean", "low", "high"]])


def draw(task, explanations, verdicts, folder):
    """Draw the maps by class with their difference, bars with intervals, and the curves."""
    stem = task.split("-")[0]
    a, b = explanations["rollout"].classes
    tests = []
    for method in ("gradient-rollout", "integrated-gradients"):
        explanation = explanations[method]
        test = explanation.compare(a, b, random_state=0)
        tests.append(f"**{method}**: {test.summary}")
        display = explanation.plot_topomap(by="class", difference=(a, b), mask=test.mask, names=4)
        display.figure_.savefig(folder / f"{stem}_{method}.png", dpi=120)
    bars = explanations["integrated-gradients"].plot_bars(regions=True)
    bars.figure_.savefig(folder / f"{stem}_bars.png", dpi=120)
    verdicts["integrated-gradients"][0].plot().figure_.savefig(
        folder / f"{stem}_faithfulness.png", dpi=120
    )
    return "Cluster tests of the difference between conditions. " + " ".join(tests)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", default=list(PLACES), choices=list(PLACES))
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--images", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    matplotlib.use("Agg")
    parts = [
        "# Explanations of real recordings",
        "Made by `python benchmarks/explain_recordings.py`. Models are trained on nine subjects "
        "and explained on three others; four folds.",
    ]
    for task in options.tasks:
        explanations, verdicts = explain_test_subjects(task, options.seed, options.folds)
        parts.append(describe(task, explanations, verdicts))
        parts.append(draw(task, explanations, verdicts, options.images))
    text = "\n\n".join(parts) + "\n"
    (options.results / "explain_recordings.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
