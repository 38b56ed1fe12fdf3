"""A quick classifier that writes down what reaches it, in whatever process."""

import json
import os
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin


class LoggingClassifier(ClassifierMixin, BaseEstimator):
    """Classify by the log power of channels; append a line of JSON to a file at every step."""

    def __init__(self, log, seconds=0.0, fail_on=None, random_state=None):
        self.log = log
        self.seconds = seconds
        self.fail_on = fail_on
        self.random_state = random_state

    def fit(self, X, y, groups=None):
        self._note("begin", X, groups)
        if self.fail_on is not None and Path(self.fail_on).exists() and 1 not in groups:
            raise ValueError("subject 1 is not there")
        self.classes_ = np.unique(y)
        power = self._power(X)
        rng = np.random.default_rng(self.random_state)
        self.means_ = np.stack([power[y == label].mean(axis=0) for label in self.classes_])
        self.means_ += rng.normal(0, 0.05, self.means_.shape)
        time.sleep(self.seconds)
        self._note("fit", X, groups)
        return self

    def predict_proba(self, X, groups=None):
        self._note("predict_proba", X, groups)
        logits = -((self._power(X)[:, np.newaxis] - self.means_) ** 2).sum(axis=2)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def predict(self, X, groups=None):
        return self.classes_[self.predict_proba(X, groups).argmax(axis=1)]

    def _power(self, X):
        data = X.get_data(units="uV", verbose="ERROR") if hasattr(X, "get_data") else X
        return np.log(data.var(axis=2) + 1e-12)

    def _note(self, step, X, groups):
        metadata = getattr(X, "metadata", None)
        line = {
            "step": step,
            "seed": self.random_state,
            "n_epochs": len(X),
            "groups": None if groups is None else np.unique(groups).tolist(),
            "metadata": None if metadata is None else np.unique(metadata["subject"]).tolist(),
            "threads": torch.get_num_threads(),
            "process": os.getpid(),
        }
        with Path(self.log).open("a") as file:  # one short write: whole also in parallel
            file.write(json.dumps(line) + "\n")


def read_log(log, step="fit"):
    """Read the lines of one step."""
    lines = [json.loads(line) for line in Path(log).read_text().splitlines()]
    return [line for line in lines if line["step"] == step]
