"""Event-related potentials across simulated subjects: ours as it comes, and what the field takes.

Each subject sees rare targets among other stimuli, as with a P300 speller. A target adds a positive
wave over Pz and a negative one before it over Fz; every stimulus brings visual components. Latency
and size differ between subjects, and jitter between trials; background is noise of spatial and
temporal correlation and occipital alpha. Nothing was tuned on these seeds::

    OMP_NUM_THREADS=1 python benchmarks/event_related.py

Writes ``benchmarks/results/event_related.md``: area under the ROC curve of the subjects of four
folds that were not trained on.
"""

import argparse
from pathlib import Path

import mne
import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

from skeegformer import EEGTransformerClassifier, make_baseline
from skeegformer._utils.files import replacing

RESULTS = Path(__file__).parent / "results"
N_SUBJECTS, N_EPOCHS, SFREQ, DURATION = 8, 200, 128.0, 0.8
SHARE_OF_TARGETS = 0.2
# Electrode, sign, peak and width in seconds, size in microvolts, and whether targets alone have it.
COMPONENTS = (
    ("Pz", 1, 0.38, 0.07, 16.0, True),
    ("Fz", -1, 0.25, 0.03, 8.0, True),
    ("Oz", 1, 0.10, 0.02, 9.6, False),
    ("Oz", -1, 0.17, 0.025, 12.8, False),
    ("Cz", 1, 0.20, 0.03, 8.0, False),
)


def simulate(seed):
    """Simulate epochs in microvolts, whether each is a target, and whose it is."""
    rng = np.random.default_rng(seed)
    montage = mne.channels.make_standard_montage("biosemi32")
    names = montage.ch_names
    places = np.array([montage.get_positions()["ch_pos"][name] for name in names])
    times = np.arange(round(DURATION * SFREQ) + 1) / SFREQ
    distances = np.linalg.norm(places[:, None] - places, axis=-1)
    mixing = np.linalg.cholesky(np.exp(-distances / 0.06) + 0.05 * np.eye(len(names)))

    def bump(name, width):
        return np.exp(-((distances[names.index(name)] / width) ** 2) / 2)

    parts = []
    for subject in range(1, N_SUBJECTS + 1):
        delay, gain = rng.normal(0, 0.03), rng.lognormal(0, 0.3)
        is_target = rng.random(N_EPOCHS) < SHARE_OF_TARGETS
        white = rng.standard_normal((N_EPOCHS, len(names), 512))
        spectrum = np.fft.rfft(white) / np.maximum(np.fft.rfftfreq(512, 1 / SFREQ), 1) ** 0.6
        epochs = mixing @ np.fft.irfft(spectrum)[..., 100 : 100 + len(times)]
        epochs *= 10 * rng.lognormal(0, 0.2) / epochs.std()
        phases = rng.uniform(0, 2 * np.pi, (N_EPOCHS, 1))
        alpha = np.cos(2 * np.pi * rng.normal(10, 1) * times + phases)
        alpha *= 4 * rng.lognormal(0, 0.5) * rng.lognormal(0, 0.5, (N_EPOCHS, 1))
        epochs += alpha[:, None] * bump("Oz", 0.07)[:, None]
        for name, sign, peak, width, size, of_targets in COMPONENTS:
            jitter = rng.normal(0, 0.03 if of_targets else 0.01, (N_EPOCHS, 1))
            wave = np.exp(-(((times - peak - delay - jitter) / width) ** 2) / 2)
            amplitude = sign * size * gain * rng.lognormal(0, 0.2, N_EPOCHS)
            amplitude *= is_target if of_targets else 1
            topography = bump(name, 0.045) * np.exp(rng.normal(0, 0.15, len(names)))
            epochs += amplitude[:, None, None] * topography[:, None] * wave[:, None]
        parts.append((epochs, is_target, np.full(N_EPOCHS, subject)))
    X, y, subjects = (np.concatenate(one) for one in zip(*parts, strict=True))
    return X, np.where(y, "target", "other"), subjects


def pipelines(seed):
    """Make what is compared."""
    return {
        "skeegformer": EEGTransformerClassifier(sfreq=SFREQ, random_state=seed),
        "Xdawn+tangent space+LR": make_baseline("xdawn+ts+lr"),
        "means in windows+LDA": make_baseline("means+lda"),
    }


def score(seed):
    """Score them on subjects that were not trained on: a row for each."""
    X, y, subjects = simulate(seed)
    for train, test in GroupKFold(4).split(X, y, subjects):
        for name, pipeline in pipelines(seed).items():
            pipeline.fit(X[train], y[train])
            proba = pipeline.predict_proba(X[test])[:, 1]
            for subject in np.unique(subjects[test]):
                own = subjects[test] == subject
                auc = roc_auc_score(y[test][own], proba[own])
                yield {"seed": seed, "pipeline": name, "subject": subject, "auc": auc}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    mne.set_log_level("ERROR")
    rows = pd.DataFrame([row for seed in range(args.seeds) for row in score(seed)])
    table = rows.groupby(["seed", "pipeline"])["auc"].mean().unstack()
    names = list(pipelines(0))
    table = table[names]
    table.loc["mean"] = table.mean()
    lines = [
        f"Simulated event-related potentials: {N_SUBJECTS} subjects of {N_EPOCHS} epochs, "
        f"{SHARE_OF_TARGETS:.0%} targets, 4 folds of whole subjects; mean area under the ROC curve "
        "over subjects that were not trained on, for each simulated data set. Made by "
        f"`python benchmarks/event_related.py --seeds {args.seeds}`.",
        "",
        f"| data set | {' | '.join(names)} |",
        f"|---|{'--:|' * len(names)}",
        *(
            f"| {seed} | {' | '.join(f'{auc:.3f}' for auc in row)} |"
            for seed, row in zip(table.index, table.to_numpy(), strict=True)
        ),
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    with replacing(RESULTS / "event_related.md") as path:
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
