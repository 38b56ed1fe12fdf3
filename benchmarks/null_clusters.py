"""How often the cluster test finds a difference where there is none.

First of explanations that are drawn: subjects with maps of their own and spatially correlated noise
over the 64 electrodes, the two classes drawn alike. Then of epochs without a difference, by models
that are trained on them in folds over subjects. Writes ``benchmarks/results/null_clusters.md``::

    python benchmarks/null_clusters.py
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import mne
import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import binomtest, t
from sklearn.model_selection import StratifiedGroupKFold

from skeegformer import (
    AttentionExplainer,
    EEGTransformerClassifier,
    concatenate_explanations,
    make_simulated_eeg,
)
from skeegformer.explain import Explanation

RESULTS = Path(__file__).parent / "results"
CLASSES = np.array(["left", "right"])
ALPHA = 0.05
N_SUBJECTS, N_EPOCHS = 12, 10
# What is drawn, and by how much runs are cut to save time.
SCENARIOS = {
    "Gaussian values, 10 epochs per class": ("gaussian", 2),
    "shares of attention, 3 to 20 epochs per class": ("shares", 1),
}


# What the trained models have learnt to tell apart, epoch by epoch, and how they are explained.
DESIGNS = {
    "two groups of subjects": np.repeat(np.arange(N_SUBJECTS) % 2, N_EPOCHS),
    "two conditions within subjects": np.arange(N_SUBJECTS * N_EPOCHS) % 2,
}
METHODS = ("rollout", "gradient-rollout", "integrated-gradients")


def noise(root, shape, rng):
    """Draw noise that neighbouring electrodes share, as (*shape, n_chans)."""
    return rng.normal(size=(*shape, len(root))) @ root.T


def simulate(kind, info, root, rng):
    """Explanation of epochs whose classes are drawn alike."""
    values, y, subjects = [], [], []
    for subject in range(N_SUBJECTS):
        counts = (10, 10) if kind == "gaussian" else rng.integers(3, 21, size=2)
        values.append(noise(root, (1,), rng) + noise(root, (sum(counts),), rng))
        y.append(np.repeat(CLASSES, counts))
        subjects.append(np.full(sum(counts), subject))
    values = np.concatenate(values)
    if kind == "shares":
        values = np.exp(values)
        values /= values.sum(axis=1, keepdims=True)
    return Explanation(
        token_values=values[:, :, np.newaxis],
        probabilities=np.full((len(values), 2), 0.5),
        classes=CLASSES,
        y=np.concatenate(y),
        ch_names=info["ch_names"],
        info=info,
        method="rollout" if kind == "shares" else "integrated-gradients",
        subjects=np.concatenate(subjects),
    )


def measure(kind, n_runs, n_permutations, info, root):
    """Count the runs with a significant cluster, and those with a single channel of p < 0.05."""
    alarms, uncorrected = 0, 0
    for run in range(n_runs):
        rng = np.random.default_rng(run)  # every run can be repeated by itself
        test = simulate(kind, info, root, rng).compare(
            *CLASSES,
            alpha=ALPHA,
            n_permutations=n_permutations,
            random_state=int(rng.integers(2**31)),
        )
        alarms += bool(test.mask.any())
        uncorrected += bool((np.abs(test.t_values) > t.isf(ALPHA / 2, N_SUBJECTS - 1)).any())
    return alarms, uncorrected


def simulate_epochs(root, rng):
    """Epochs of subjects with gains of their own and a rhythm at the back, and their subjects."""
    back, times = root @ root.T[:, -4], np.arange(80) / 80
    X = []
    for _ in range(N_SUBJECTS):
        noise_ = np.swapaxes(noise(root, (N_EPOCHS, 80), rng), 1, 2)
        noise_ *= np.exp(0.3 * noise(root, (), rng))[:, np.newaxis]
        phase, size = (
            rng.uniform(0, 2 * np.pi, (N_EPOCHS, 1, 1)),
            rng.lognormal(1, 0.4, (N_EPOCHS, 1, 1)),
        )
        rhythm = size * np.sin(2 * np.pi * 10 * times + phase)
        X.append(noise_ + rng.uniform(0.5, 1.5) * back[:, np.newaxis] * rhythm)
    return 10 * np.concatenate(X), np.repeat(np.arange(N_SUBJECTS), N_EPOCHS)


def measure_models(n_runs, n_permutations, info, root):
    """Count the runs with a significant cluster, by design and method."""
    alarms = {(design, method): 0 for design in DESIGNS for method in METHODS}
    model = EEGTransformerClassifier(
        n_heads=5, max_epochs=5, sfreq=80.0, mirror=None, random_state=0
    )
    for run in range(n_runs):
        X, subjects = simulate_epochs(root, np.random.default_rng(run))
        for design, codes in DESIGNS.items():
            y = CLASSES[codes]
            found = {method: [] for method in METHODS}
            for train, test in StratifiedGroupKFold(3).split(X, y, subjects):
                model.fit(X[train], y[train])
                for method, parts in found.items():
                    explainer = AttentionExplainer(method, target="left")
                    options = {"groups": subjects[test], "info": info}
                    parts.append(explainer.explain(model, X[test], y[test], **options))
            for method, parts in found.items():
                # What `compare` refuses is measured all the same.
                joined = replace(concatenate_explanations(parts), settings={})
                test = joined.compare(*CLASSES, n_permutations=n_permutations, random_state=run)
                alarms[design, method] += bool(test.mask.any())
    return alarms


def row(name, alarms, n_runs):
    """Make a line of a table."""
    test = binomtest(alarms, n_runs, ALPHA, alternative="greater")
    low, high = binomtest(alarms, n_runs).proportion_ci(0.95)
    return (
        f"| {name} | {n_runs} | {alarms / n_runs:.3f} | {low:.3f} to {high:.3f} | "
        f"{test.pvalue:.3f} |"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=3000)
    parser.add_argument("--trained-runs", type=int, default=100)
    parser.add_argument("--permutations", type=int, default=200)
    args = parser.parse_args()
    mne.set_log_level("ERROR")
    info = make_simulated_eeg(n_subjects=2, n_epochs=2, random_state=0)[0].info
    positions = np.array([channel["loc"][:3] for channel in info["chs"]])
    covariance = np.exp(-(cdist(positions, positions) ** 2) / (2 * 0.04**2))
    root = np.linalg.cholesky(covariance + 1e-6 * np.eye(len(positions)))

    lines = [
        f"`explanation.compare` where the conditions do not differ: {N_SUBJECTS} subjects, 64 "
        f"electrodes, noise correlated over 4 cm, {args.permutations} permutations, "
        f"alpha = {ALPHA}. Rate of runs with a significant cluster, its 95 % interval, and p of a "
        "binomial test that it is above alpha; beside it the rate of runs in which a t test "
        "without correction would have marked a channel.",
        "",
        "| null data | runs | false alarms | 95 % interval | p (above alpha) | uncorrected |",
        "|---|---|---|---|---|---|",
    ]
    for name, (kind, cut) in SCENARIOS.items():
        n_runs, start = args.runs // cut, time.perf_counter()
        alarms, uncorrected = measure(kind, n_runs, args.permutations, info, root)
        lines.append(f"{row(name, alarms, n_runs)} {uncorrected / n_runs:.2f} |")
        print(lines[-1], f"{time.perf_counter() - start:.0f} s", flush=True)
    lines += [
        "",
        f"The same with trained models: {N_SUBJECTS} subjects of {N_EPOCHS} epochs without a "
        "difference, three folds over subjects; each subject is explained by a model that was "
        "trained on others to tell the conditions apart, for one class. `compare` refuses the "
        "methods that come out too high: the models know the labels of each other's test subjects, "
        "which permuting them afterwards does not undo.",
        "",
        "| conditions | method | runs | false alarms | 95 % interval | p (above alpha) |",
        "|---|---|---|---|---|---|",
    ]
    start = time.perf_counter()
    counts = measure_models(args.trained_runs, args.permutations, info, root)
    for (design, method), alarms in counts.items():
        lines.append(row(f"{design} | {method}", alarms, args.trained_runs))
        print(lines[-1], flush=True)
    print(f"{time.perf_counter() - start:.0f} s")
    RESULTS.mkdir(exist_ok=True)
    # A run that is stopped half-way leaves the old table whole.
    part = RESULTS / "null_clusters.md.part"
    part.write_text("\n".join(lines) + "\n", encoding="utf-8")
    part.replace(RESULTS / "null_clusters.md")


if __name__ == "__main__":
    main()
