"""How often the cluster test finds a difference where there is none.

Subjects with maps of their own and spatially correlated noise over the 64 electrodes, the two
classes drawn alike. Writes ``benchmarks/results/null_clusters.md``::

    python benchmarks/null_clusters.py
"""

import argparse
import time
from pathlib import Path

import mne
import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import binomtest, t

from skeegformer import make_simulated_eeg
from skeegformer.explain import Explanation

RESULTS = Path(__file__).parent / "results"
CLASSES = np.array(["left", "right"])
ALPHA = 0.05
N_SUBJECTS = 12
# What is drawn, how the test looks for clusters, and by how much runs are cut to save time.
SCENARIOS = {
    "Gaussian values, 10 epochs per class": ("gaussian", None, 2),
    "shares of attention, 3 to 20 epochs per class": ("shares", None, 1),
    "shares, threshold-free enhancement": ("shares", {"start": 0, "step": 0.5}, 12),
}


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


def measure(kind, threshold, n_runs, n_permutations, info, root):
    """Count the runs with a significant cluster, and those with a single channel of p < 0.05."""
    alarms, uncorrected = 0, 0
    for run in range(n_runs):
        rng = np.random.default_rng(run)  # every run can be repeated by itself
        test = simulate(kind, info, root, rng).compare(
            *CLASSES,
            alpha=ALPHA,
            threshold=threshold,
            n_permutations=n_permutations,
            random_state=int(rng.integers(2**31)),
        )
        alarms += bool(test.mask.any())
        uncorrected += bool((np.abs(test.t_values) > t.isf(ALPHA / 2, N_SUBJECTS - 1)).any())
    return alarms, uncorrected


def row(name, alarms, uncorrected, n_runs):
    """Make a line of the table."""
    test = binomtest(alarms, n_runs, ALPHA, alternative="greater")
    low, high = binomtest(alarms, n_runs).proportion_ci(0.95)
    return (
        f"| {name} | {n_runs} | {alarms / n_runs:.3f} | {low:.3f} to {high:.3f} | "
        f"{test.pvalue:.3f} | {uncorrected / n_runs:.2f} |"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=3000)
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
    for name, (kind, threshold, cut) in SCENARIOS.items():
        n_runs, start = args.runs // cut, time.perf_counter()
        counts = measure(kind, threshold, n_runs, args.permutations, info, root)
        lines.append(row(name, *counts, n_runs))
        print(lines[-1], f"{time.perf_counter() - start:.0f} s", flush=True)
    RESULTS.mkdir(exist_ok=True)
    # A run that is stopped half-way leaves the old table whole.
    part = RESULTS / "null_clusters.md.part"
    part.write_text("\n".join(lines) + "\n", encoding="utf-8")
    part.replace(RESULTS / "null_clusters.md")


if __name__ == "__main__":
    main()
