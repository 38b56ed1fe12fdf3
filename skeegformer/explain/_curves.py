"""Curves of deletion and insertion, with intervals over subjects."""

import numpy as np
import pandas as pd
import torch
from scipy.stats import rankdata

from skeegformer.explain._model import log_odds, predict_logits
from skeegformer.explain._perturbation import make_substitute, occlude

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
        substitute = make_substitute("swap", self.data, subjects=self.subjects, random_state=rng)
        n_chans = self.data.shape[1]
        channels = list(range(n_chans))
        self.donors = [substitute(channels, repeat) for repeat in range(n_repeats)]
        drops, _ = occlude(
            self.network,
            self.data,
            self.codes,
            substitute=lambda channels, repeat: self.donors[repeat][:, channels],
            sets=[[channel] for channel in channels],
            n_repeats=n_repeats,
            means=self.means,
        )
        self.drops = drops[..., 0].mean(axis=0)
        steps = np.geomspace(1, n_chans, min(n_chans, _LARGEST_STEPS)).round().astype(int)
        self.counts = np.unique([0, *steps])

    def curve(self, values, kind):
        """Compute the probability of the class, epoch by epoch and channel count by channel count.

        Channels go by their values, epoch by epoch, or at random where there are none.
        """
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
        low, high = self.interval(found)[1:]
        return pd.DataFrame(
            {
                "curve": curve,
                "order": order,
                "n_channels": self.counts,
                "fraction": self.counts / self.data.shape[1],
                "mean": found.mean(axis=0),
                "low": low,
                "high": high,
            }
        )

    def interval(self, values):
        """Average over epochs, with a 95 % interval: epochs of drawn subjects, or drawn epochs."""
        rng = np.random.RandomState(0)  # the same draws for all orders, which are compared
        subjects = np.arange(len(self.data)) if self.subjects is None else self.subjects
        members = [np.flatnonzero(subjects == subject) for subject in np.unique(subjects)]
        if len(members) < 3:
            members = list(np.arange(len(self.data))[:, None])
        means = []
        for _ in range(_N_BOOTSTRAP):
            drawn = rng.randint(len(members), size=len(members))
            means.append(values[np.concatenate([members[one] for one in drawn])].mean(axis=0))
        return values.mean(axis=0), *np.percentile(means, [2.5, 97.5], axis=0)
