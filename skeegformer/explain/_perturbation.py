"""Explanations by perturbation: a channel, or a band of it, is replaced."""

import math
from itertools import pairwise

import mne
import numpy as np
import torch
from sklearn.utils import Bunch, check_random_state

from skeegformer.explain._electrodes import need_positions
from skeegformer.explain._model import batches, log_odds, predict_logits
from skeegformer.nn import EEGTransformer

BANDS = {"delta": (1.0, 4.0), "theta": (4.0, 8.0), "alpha": (8.0, 13.0), "beta": (13.0, 30.0)}
REPLACEMENTS = ("swap", "interpolate", "mean", "zero")


def occlude(network, data, codes, *, substitute, sets, parts=None, n_repeats=1, means=None):
    """Measure how much the log odds of a class fall when channels are replaced.

    Zeiler and Fergus (2014), with channels of EEG in the place of patches of an image.

    Parameters
    ----------
    network : EEGTransformer or OriginalTransformer
        The network.
    data : ndarray of shape (n_epochs, n_chans, n_times)
        Epochs.
    codes : ndarray of shape (n_epochs,)
        Index of the class, epoch by epoch.
    substitute : callable
        ``substitute(channels, repeat)`` returns what to put there: (n_epochs, n_channels,
        n_times). See `make_substitute`.
    sets : list of list of int
        The channels that are replaced together.
    parts : dict of str to callable or None, default=None
        Takes a signal's share of each part, see `make_parts`; None for the whole signal.
    n_repeats : int, default=1
        How many substitutes are tried.
    means : ndarray of shape (n_epochs, n_images, n_sources, n_windows) or None, default=None
        What log powers of an `EEGTransformer` are centred on; a channel is taken away from the
        epoch, and not from what is known of its subject.

    Returns
    -------
    drops : ndarray of shape (n_repeats, n_epochs, n_sets, n_parts)
        Log odds as they are, minus log odds with the substitute.
    predictions : ndarray of int of shape (n_repeats, n_epochs, n_sets, n_parts)
        Index of the class that is predicted with the substitute.
    """
    codes = torch.as_tensor(codes)
    parts = parts or {"epoch": lambda signal: signal}
    predict = _predict_changed(network, data, means)
    intact = log_odds(predict([0], np.zeros_like(data[:, :1])), codes)
    drops = np.empty((n_repeats, len(data), len(sets), len(parts)))
    predictions = np.empty(drops.shape, dtype=int)
    for s, channels in enumerate(sets):
        for repeat in range(n_repeats):
            change = substitute(channels, repeat) - data[:, channels]
            for p, take in enumerate(parts.values()):
                logits = predict(channels, take(change))
                drops[repeat, :, s, p] = (intact - log_odds(logits, codes)).numpy()
                predictions[repeat, :, s, p] = logits.argmax(dim=1).numpy()
    return drops, predictions


def _predict_changed(network, data, means):
    """Make a function that predicts epochs after a change of some channels."""
    if isinstance(network, EEGTransformer):
        return ChangedChannels(network, data, means)
    changed = data.copy()

    def predict(channels, change):
        changed[:, channels] += change
        logits = predict_logits(network, changed)
        changed[:, channels] = data[:, channels]
        return logits

    return predict


class ChangedChannels:
    """Predict epochs again and again, after a change of some channels.

    Sources are linear in the channels: only what the changed ones add to them is computed anew.
    """

    def __init__(self, network, data, means=None):
        self.network, self.means = network.eval(), means
        with torch.no_grad():
            self.sources = [network.gather(network.prepare(x)) for x in batches(network, data)]

    @torch.no_grad()
    def __call__(self, channels, change):
        """Compute logits after adding (n_epochs, n_channels, n_times) to these channels."""
        network, logits = self.network, []
        known = [None] * len(self.sources)
        if self.means is not None:
            known = batches(network, self.means)
        for sources, part, means in zip(self.sources, batches(network, change), known, strict=True):
            more = network.gather(network.prepare_change(part, channels), channels)
            tokens = network.tokens(sources + more)
            if means is not None:
                tokens = network.centre(tokens, means)
            logits.append(network.read_out(tokens).cpu())
        return torch.cat(logits)


def make_substitute(kind, data, *, info=None, subjects=None, orders=None, random_state=None):
    """Choose what replaces a channel, as a function of channels and repeat.

    "swap" takes the channel from another epoch, of the same subject where subjects are known, so
    that the signal stays one that the model could have met; `orders`, one for each repeat, say from
    which epoch, and are drawn where there are none. "interpolate" is a spherical spline through all
    other electrodes, which leaves what neighbours share; "mean" the channel's average over epochs;
    "zero" nothing.
    """
    if kind == "zero":
        return lambda channels, repeat: np.zeros_like(data[:, channels])
    if kind == "mean":
        means = data.mean(axis=0, keepdims=True)
        return lambda channels, repeat: np.repeat(means[:, channels], len(data), axis=0)
    if kind == "interpolate":
        return lambda channels, repeat: np.einsum(
            "bc,nct->nbt", _spline_weights(info, channels), data
        ).astype(data.dtype)
    if len(data) < 2:
        raise ValueError(
            "replacement='swap' takes a channel from another epoch, but there is only one; give "
            "more epochs, or another replacement."
        )
    if orders is None:
        orders = _Derangements(subjects, len(data), random_state)
    return lambda channels, repeat: data[orders[repeat]][:, channels]


def make_parts(kind, network, sfreq, bands=None):
    """Divide signals into temporal tokens, or bands: functions that take what belongs to each."""
    if kind == "band":
        limits = check_bands(bands, sfreq)
        return {name: _band_pass(low, high, sfreq) for name, (low, high) in limits.items()}
    names = part_names(network, sfreq)
    if len(names) == 1:
        return {names[0]: lambda signal: signal}
    length = network.token_length
    return {
        name: _window(k * length, (k + 1) * length, network.n_times) for k, name in enumerate(names)
    }


def part_names(network, sfreq):
    """Name a network's temporal tokens by their time in seconds, or by number."""
    if isinstance(network, EEGTransformer) or network.n_time_tokens == 1:
        return ("epoch",)
    n_time_tokens, length = network.n_time_tokens, network.token_length
    if not sfreq:
        return tuple(f"token {k + 1}" for k in range(n_time_tokens))
    edges = [k * length / sfreq for k in range(n_time_tokens + 1)]
    n_digits = max(2, math.ceil(-math.log10(length / sfreq)))  # short ones have names of their own
    return tuple(f"{start:.{n_digits}f}-{stop:.{n_digits}f} s" for start, stop in pairwise(edges))


def check_bands(bands, sfreq):
    """Check that each band has two limits in Hz, below half of the sampling rate."""
    if not sfreq:
        raise ValueError(
            "Bands need a sampling rate, and the classifier was fitted on arrays without one: "
            "give it sfreq=, or fit on Epochs."
        )
    bands = BANDS if bands is None else bands
    if not isinstance(bands, dict):
        raise ValueError(
            f"bands={bands!r} is no dict of names and limits in Hz, such as {{'alpha': (8, 13)}}."
        )
    for name, limits in bands.items():
        if len(limits) != 2 or not 0 < limits[0] < limits[1] < sfreq / 2:
            raise ValueError(
                f"The band {name!r} is {limits}, but has to be a lower and a higher frequency "
                f"between 0 and {sfreq / 2:g} Hz."
            )
    return bands


def importance_bunch(importances, names):
    """Summarise drops of a score, of shape (n_sets, n_repeats), as scikit-learn does."""
    return Bunch(
        importances=importances,
        importances_mean=importances.mean(axis=1),
        importances_std=importances.std(axis=1),
        names=names,
    )


def shuffled_orders(n_epochs, groups, seed, n_repeats):
    """Shuffle epochs again and again, within groups where there are some: from which epoch to take.

    Equal seeds give equal orders, and those of scikit-learn where there are no groups.
    """
    rng = check_random_state(seed)
    members = [np.arange(n_epochs)]
    if groups is not None:
        members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    # Shuffled on and on, never anew: so does scikit-learn.
    shuffled = [np.arange(len(rows)) for rows in members]
    order, orders = np.arange(n_epochs), []
    for _ in range(n_repeats):
        for rows, positions in zip(members, shuffled, strict=True):
            rng.shuffle(positions)
            order[rows] = order[rows][positions]
        orders.append(order.copy())
    return orders


class _Derangements:
    """Orders in which no epoch stays where it is, drawn when they are asked for."""

    def __init__(self, subjects, n_epochs, random_state):
        self._rng = check_random_state(random_state)
        self._n_epochs = n_epochs
        self._members = [np.arange(n_epochs)]
        if subjects is not None:
            self._members = [np.flatnonzero(subjects == name) for name in np.unique(subjects)]
        self._orders = []

    def __getitem__(self, repeat):
        while len(self._orders) <= repeat:
            order = np.empty(self._n_epochs, dtype=int)
            for members in self._members:
                if len(members) == 1:  # who has no other epoch takes anybody's
                    other = self._rng.randint(self._n_epochs - 1)
                    order[members] = other + (other >= members[0])
                    continue
                shuffled = self._rng.permutation(members)
                order[shuffled] = np.roll(shuffled, 1)
            self._orders.append(order)
        return self._orders[repeat]


def _window(start, stop, n_times):
    mask = np.zeros(n_times, dtype=np.float32)
    mask[start:stop] = 1
    return lambda signal: signal * mask


def _band_pass(low, high, sfreq):
    def take(signal):
        filtered = mne.filter.filter_data(
            signal.astype(float), sfreq, low, high, method="iir", verbose="ERROR"
        )
        return filtered.astype(signal.dtype)

    return take


def _spline_weights(info, channels):
    """Return how MNE's spherical spline makes channels of the others: (n_channels, n_chans)."""
    need_positions(info, "replacement='interpolate'")
    unit = mne.EvokedArray(np.eye(len(info.ch_names)), info.copy(), verbose="ERROR")
    unit.info["bads"] = [info.ch_names[channel] for channel in channels]
    return unit.interpolate_bads(reset_bads=False, verbose="ERROR").data[channels]
