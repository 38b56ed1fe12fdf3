"""Curves of deletion and insertion, with intervals over subjects."""

import numpy as np
import pandas as pd
import torch
from scipy.stats import rankdata

from skeegformer._validation import rows_by_subject
from skeegformer.explain._model import log_odds, predict_logits
from skeegformer.explain._perturbation import derangements, occlude

_N_BOOTSTRAP = 1000
_LARGEST_STEPS = 12


class Curves:
    """Probabilities while channels are replaced: by other epochs, drawn once for all orders."""

    def __init__(self, explanation, n_repeats, rng):
        source = explanation.source
        self.network, self.data = source.classifier.net_.module_, source.data
        # Channels are taken from the epoch, and not from what is known of its subject.
        self.means, self.subjects, self.rng = source.means, explanation.subjects, rng
        targets = explanation.predictions if explanation.targets is None else explanation.targets
        self.codes = torch.as_tensor(np.searchsorted(explanation.classes, targets))
        n_epochs, n_chans, _ = self.data.shape
        orders = derangements(n_epochs, self.subjects, n_repeats, rng)
        self.donors = [self.data[order] for order in orders]
        sets = [[channel] for channel in range(n_chans)]
        task = (self.network, self.data, self.codes, self.means, sets)
        self.drops = occlude(*task, orders=orders)[..., 0].mean(axis=0)
        steps = np.geomspace(1, n_chans, min(n_chans, _LARGEST_STEPS)).round().astype(int)
        self.counts = np.unique([0, *steps])
        self.units = list(rows_by_subject(self.subjects, n_epochs).values())
        self.over_subjects = len(self.units) >= 3
        if not self.over_subjects:
            self.units = np.arange(n_epochs)[:, None]

    def curve(self, values, kind):
        """Compute probabilities of the class, (n_epochs, n_counts); None is a random order."""
        found = np.zeros((len(self.data), len(self.counts)))
        for donor in self.donors:
            ties = self.rng.random_sample(self.drops.shape)  # equal values go in any order
            order = ties if values is None else -values - 1e-12 * ties
            ranks = rankdata(order, method="ordinal", axis=1) - 1
            for k, count in enumerate(self.counts):
                own = ranks >= count if kind == "deletion" else ranks < count
                mixed = np.where(own[:, :, None], self.data, donor)
                scores = log_odds(predict_logits(self.network, mixed, self.means), self.codes)
                found[:, k] += torch.sigmoid(scores).numpy() / len(self.donors)
        return found

    def table(self, curve, order, found):
        """List the points of a curve with their intervals."""
        mean, low, high = self.interval(found)
        points = {"curve": curve, "order": order, "n_channels": self.counts}
        points["fraction"] = self.counts / self.data.shape[1]
        return pd.DataFrame({**points, "mean": mean, "low": low, "high": high})

    def interval(self, values):
        """Average over epochs, with a 95 % interval: epochs of drawn subjects, or drawn epochs."""
        sums = np.array([values[rows].sum(axis=0) for rows in self.units])
        counts = np.array([len(rows) for rows in self.units])
        # The same draws for all orders, which are compared.
        drawn = np.random.RandomState(0).randint(len(counts), size=(_N_BOOTSTRAP, len(counts)))
        means = (sums[drawn].sum(axis=1).T / counts[drawn].sum(axis=1)).T
        return values.mean(axis=0), *np.percentile(means, [2.5, 97.5], axis=0)
