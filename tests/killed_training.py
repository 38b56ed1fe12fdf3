"""Trains with early stopping and a saved state; kills itself after so many passes, if asked."""

import os
import signal
import sys

import mne
import numpy as np
from skorch.callbacks import Callback

from skeegformer import (
    EEGTransformerClassifier,
    OriginalTransformerClassifier,
    ResumableTraining,
)


class Kill(Callback):
    """SIGKILL in the middle of a pass."""

    def __init__(self, after):
        self.after = after

    def on_batch_end(self, net, training=False, **kwargs):
        if len(net.history) == self.after + 1 and len(net.history[-1, "batches"]) == 2:
            os.kill(os.getpid(), signal.SIGKILL)


def train(state, after, kind, patience):
    """Give the weights and the history of a training."""
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b"], 40)
    X = rng.normal(size=(80, 4, 64))
    X[y == "b", :2] *= 1.5
    groups = np.arange(80) % 5
    callbacks = [] if state is None else [ResumableTraining(state)]
    training = {
        "batch_size": 16,
        "max_epochs": 12,
        "drop_prob": 0.3,
        "early_stopping": True,
        "n_iter_no_change": patience,
        "validation_fraction": 0.2,
        "lr": 1e-2,
        "sfreq": 64.0,
        "callbacks": [*callbacks, Kill(after)],
        "random_state": 3,
    }
    if kind == "original":
        classifier = OriginalTransformerClassifier(
            embed_dim=8,
            n_heads=2,
            n_layers=2,
            noise=0.1,
            shuffle_tokens="all",
            warmup_steps=5,
            **training,
        )
    else:
        # Whose names tell which side they are of, so that epochs are mirrored.
        info = mne.create_info(["C3", "C4", "P3", "P4"], 64.0, "eeg")
        X = mne.EpochsArray(1e-5 * X, info, verbose="ERROR")
        y = np.where(y == "a", "left", "right")
        classifier = EEGTransformerClassifier(adapt=kind == "adapted", n_heads=4, **training)
    classifier.fit(X, y, groups)
    assert kind == "original" or classifier.mirror_pairs_ is not None
    return classifier.net_.module_.state_dict(), classifier.history_


if __name__ == "__main__":
    path, last, which, n_passes = sys.argv[1:]
    train(path, int(last), which, int(n_passes))
