"""Explanations from what happens when a channel, or a band of it, is taken away."""

import math
from itertools import pairwise

import numpy as np
import torch
from sklearn.utils import check_random_state

from skeegformer._validation import (
    check_one_of,
)
from skeegformer.attention import log_odds
from skeegformer.explain._model import batches, predict_logits
from skeegformer.nn import EEGTransformer

BANDS = {"delta": (1.0, 4.0), "theta": (4.0, 8.0), "alpha": (8.0, 13.0), "beta": (13.0, 30.0)}
REPLACEMENTS = ("swap", "interpolate", "mean", "zero")


def occlude(network, data, codes, *, substitute, parts, sets, n_repeats=1, means=None):
    """Measure how much the log odds of a class fall when channels are replaced.

    Zeiler and Fergus [1]_, with channels of EEG in the place of patches of an image.

    Parameters
    ----------
    network : EEGTransformer
        The network.
    data : ndarray of shape (n_epochs, n_chans, n_times)
        Epochs.
    codes : ndarray of shape (n_epochs,)
        Index of the class, epoch by epoch.
    substitute : callable
        ``substitute(channels, repeat)`` returns what to put there: (n_epochs, n_channels,
        n_times). See `make_substitute`.
    parts : dict of str to callable
        Takes a signal's share of each part. See `make_parts`.
    sets : list of list of int
        The channels that are replaced together.
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

    References
    ----------
    .. [1] Zeiler and Fergus (2014), Visualizing and understanding convolutional networks.
       ECCV. arXiv:1311.2901
    """
    codes = torch.as_tensor(codes)
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

    Parameters
    ----------
    network : EEGTransformer
        The network.
    data : ndarray of shape (n_epochs, n_chans, n_times)
        Epochs as they are.
    means : ndarray of shape (n_epochs, n_images, n_sources, n_windows) or None
        What log powers are centred on.
    """

    def __init__(self, network, data, means=None):
        self.network, self.means = network.eval(), means
        with torch.no_grad():
            self.sources = [network.gather(network.prepare(x)) for x in batches(network, data)]

    @torch.no_grad()
    def __call__(self, channels, change):
        """Compute the logits after a change.

        Parameters
        ----------
        channels : list of int
            The channels.
        change : ndarray of shape (n_epochs, n_channels, n_times)
            What is added to them.

        Returns
        -------
        Tensor of shape (n_epochs, n_outputs)
            Logits, on the CPU.
        """
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
    """Choose what replaces a channel.

    Parameters
    ----------
    kind : {"swap", "interpolate", "mean", "zero"}
        "swap": the same channel in another epoch, of the same subject where subjects are
        known, so that the signal stays one that the model knows; "interpolate": a spherical
        spline through all other electrodes, which leaves what neighbours know; "mean": the
        channel's average over epochs; "zero": nothing.
    data : ndarray of shape (n_epochs, n_chans, n_times)
        Epochs.
    info : mne.Info or None, default=None
        Electrode positions, for "interpolate".
    subjects : ndarray of shape (n_epochs,) or None, default=None
        Subject of each epoch, for "swap".
    orders : list of ndarray of shape (n_epochs,) or None, default=None
        For "swap": from which epoch to take, repeat by repeat; None draws them.
    random_state : int, RandomState instance or None, default=None
        Draws the orders.

    Returns
    -------
    callable
        ``substitute(channels, repeat)``, see `occlude`.

    Raises
    ------
    ValueError
        If `kind` is unknown, or positions or a second epoch are missing.
    """
    check_one_of("replacement", kind, REPLACEMENTS)
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


def make_parts(kind, *, n_times, n_time_tokens=1, token_length=None, sfreq=None, bands=None):
    """Divide signals into temporal tokens, or into bands.

    Parameters
    ----------
    kind : {"time", "band"}
        Along what.
    n_times : int
        Number of samples.
    n_time_tokens : int, default=1
        Number of temporal tokens.
    token_length : int or None, default=None
        Samples of each; None divides all among them.
    sfreq : float or None, default=None
        Sampling rate in Hz.
    bands : dict of str to tuple of float, or None, default=None
        Lower and upper frequency in Hz by name; None for delta, theta, alpha and beta.

    Returns
    -------
    dict of str to callable
        By name, a function that takes from signals of shape (..., n_times) what belongs to
        the part.

    Raises
    ------
    ValueError
        If the sampling rate is not known, or a band does not lie below half of it.
    """
    if kind == "time":
        length = token_length or n_times // n_time_tokens
        names = part_names(n_time_tokens, length, sfreq)
        if n_time_tokens == 1:
            return {names[0]: lambda signal: signal}
        return {
            name: _window(k * length, (k + 1) * length, n_times) for k, name in enumerate(names)
        }
    return {name: _band_pass(low, high, sfreq) for name, (low, high) in check_bands(bands, sfreq)}


def part_names(n_time_tokens, length, sfreq):
    """Name the temporal tokens by their time in seconds, or by number.

    Parameters
    ----------
    n_time_tokens : int
        Number of temporal tokens.
    length : int
        Samples in each.
    sfreq : float or None
        Sampling rate in Hz.

    Returns
    -------
    tuple of str
        The names; ``("epoch",)`` where there is a single one.
    """
    if n_time_tokens == 1:
        return ("epoch",)
    if not sfreq:
        return tuple(f"token {k + 1}" for k in range(n_time_tokens))
    edges = [k * length / sfreq for k in range(n_time_tokens + 1)]
    n_digits = max(2, math.ceil(-math.log10(length / sfreq)))  # short ones have names of their own
    return tuple(f"{start:.{n_digits}f}-{stop:.{n_digits}f} s" for start, stop in pairwise(edges))


def check_bands(bands, sfreq):
    """Check frequency bands.

    Parameters
    ----------
    bands : dict of str to tuple of float, or None
        Lower and upper frequency in Hz by name; None for delta, theta, alpha and beta.
    sfreq : float or None
        Sampling rate in Hz.

    Returns
    -------
    list of tuple
        Name and limits.
    """
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
    return list(bands.items())


def neighborhoods(info):
    """Find the neighbours of each electrode.

    Parameters
    ----------
    info : mne.Info
        Electrode positions.

    Returns
    -------
    list of list of int
        For each channel, itself and its neighbours in the montage (Delaunay triangulation).

    Raises
    ------
    ValueError
        If positions are not known.
    """
    import mne

    _need_positions(info, "Neighbours")
    adjacency, names = mne.channels.find_ch_adjacency(info, "eeg")
    order = [names.index(name) for name in info.ch_names]
    adjacency = adjacency.toarray()[np.ix_(order, order)] | np.eye(len(order), dtype=bool)
    return [np.flatnonzero(row).tolist() for row in adjacency]


class _Derangements:
    """Orders in which no epoch stays where it is, drawn when they are asked for."""

    def __init__(self, subjects, n_epochs, random_state):
        self._rng = check_random_state(random_state)
        self._members = [np.arange(n_epochs)]
        if subjects is not None:
            members = [np.flatnonzero(subjects == subject) for subject in np.unique(subjects)]
            if min(map(len, members)) > 1:
                self._members = members
        self._orders = []

    def __getitem__(self, repeat):
        while len(self._orders) <= repeat:
            order = np.empty(sum(map(len, self._members)), dtype=int)
            for members in self._members:
                shuffled = self._rng.permutation(members)
                order[shuffled] = np.roll(shuffled, 1)
            self._orders.append(order)
        return self._orders[repeat]


def _window(start, stop, n_times):
    mask = np.zeros(n_times, dtype=np.float32)
    mask[start:stop] = 1
    return lambda signal: signal * mask


def _band_pass(low, high, sfreq):
    import mne

    def take(signal):
        filtered = mne.filter.filter_data(
            signal.astype(float), sfreq, low, high, method="iir", verbose="ERROR"
        )
        return filtered.astype(signal.dtype)

    return take


def _spline_weights(info, channels):
    """Return how MNE's spherical spline makes channels of the others: (n_channels, n_chans)."""
    import mne

    _need_positions(info, "replacement='interpolate'")
    unit = mne.EvokedArray(np.eye(len(info.ch_names)), info.copy(), verbose="ERROR")
    unit.info["bads"] = [info.ch_names[channel] for channel in channels]
    return unit.interpolate_bads(reset_bads=False, verbose="ERROR").data[channels]


def _need_positions(info, what):
    found = info is not None and all(
        np.isfinite(channel["loc"][:3]).all() and channel["loc"][:3].any()
        for channel in info["chs"]
    )
    if not found:
        raise ValueError(
            f"{what} needs electrode positions: fit on Epochs with a montage "
            "(epochs.set_montage), or give explain an info=."
        )
