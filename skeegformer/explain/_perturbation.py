"""Attributions by perturbation: a channel, or a band of it, is replaced."""

import math
from functools import partial
from itertools import pairwise

import mne
import numpy as np
import torch
from sklearn.utils import check_random_state

from skeegformer._validation import rows_by_subject
from skeegformer.explain._electrodes import check_scalp
from skeegformer.explain._model import batches, log_odds, predict_logits, tokens_of
from skeegformer.nn import EEGTransformer

BANDS = {"delta": (1.0, 4.0), "theta": (4.0, 8.0), "alpha": (8.0, 13.0), "beta": (13.0, 30.0)}
REPLACEMENTS = ("swap", "interpolate", "mean", "zero")


def occlude(
    network, data, codes, means, sets, parts=None, *, kind="swap", orders=(None,), info=None
):
    """Measure how much the log odds of a class fall when channels are taken from the epochs."""
    # (n_orders, n_epochs, n_sets, n_parts); what is known of a subject (`means`) stays.
    codes = torch.as_tensor(codes)
    parts = parts or {"epoch": lambda signal: signal}
    predict = predict_changed(network, data, means)
    intact = log_odds(predict([0], np.zeros_like(data[:, :1])), codes)
    drops = np.empty((len(orders), len(data), len(sets), len(parts)))
    for s, channels in enumerate(sets):
        for repeat, order in enumerate(orders):
            change = _replaced(kind, data, channels, order, info) - data[:, channels]
            for p, take in enumerate(parts.values()):
                logits = predict(channels, take(change))
                drops[repeat, :, s, p] = (intact - log_odds(logits, codes)).numpy()
    return drops


@torch.no_grad()
def predict_changed(network, data, means=None):
    """Make a function that gives the logits after a change is added to some channels."""
    if not isinstance(network, EEGTransformer):

        def predict_all(channels, change):
            changed = data.copy()
            changed[:, channels] += change
            return predict_logits(network, changed)

        return predict_all

    network.eval()  # its sources are linear in the channels: what is added is computed alone
    sources = [network.gather(network.prepare(x)) for x in batches(network, data)]

    @torch.no_grad()
    def predict(channels, change):
        logits = []
        for before, (part, known) in zip(sources, batches(network, change, means), strict=True):
            more = network.gather(network.prepare_change(part, channels), channels)
            logits.append(network.read_out(tokens_of(network, before + more, known)).cpu())
        return torch.cat(logits)

    return predict


def _replaced(kind, data, channels, order, info):
    """Return what replaces channels; "swap" takes it from other epochs, in this order."""
    if kind == "swap":
        return data[np.ix_(order, channels)]
    if kind == "zero":
        return np.float32(0)
    if kind == "mean":
        return data[:, channels].mean(axis=0)
    check_scalp(info, "replacement='interpolate'")
    if len(info.ch_names) < 4:
        few = f"{len(info.ch_names)} electrodes are too few for replacement='interpolate'"
        raise ValueError(f"{few}, which lays a sphere through them: take another replacement.")
    # How MNE's spherical spline makes channels of the others: (n_channels, n_chans).
    unit = mne.EvokedArray(np.eye(len(info.ch_names)), info.copy(), verbose="ERROR")
    unit.info["bads"] = [info.ch_names[channel] for channel in channels]
    weights = unit.interpolate_bads(reset_bads=False, verbose="ERROR").data[channels]
    return np.einsum("bc,nct->nbt", weights, data).astype(data.dtype)


def _refuse_single_epoch(what, n_epochs):
    """Raise where no epoch is there to take a channel from."""
    if n_epochs < 2:
        raise ValueError(
            f"{what} takes a channel from another epoch, but there is only one; give more epochs, "
            "or take method='occlusion' with another replacement."
        )


def derangements(n_epochs, subjects, n_repeats, random_state):
    """Draw orders in which no epoch stays where it is, within subjects where they are known."""
    _refuse_single_epoch("replacement='swap'", n_epochs)
    rng, orders = check_random_state(random_state), []
    for _ in range(n_repeats):
        order = np.empty(n_epochs, dtype=int)
        for members in rows_by_subject(subjects, n_epochs).values():
            if len(members) == 1:  # who has no other epoch takes anybody's
                other = rng.randint(n_epochs - 1)
                order[members] = other + (other >= members[0])
                continue
            shuffled = rng.permutation(members)
            order[shuffled] = np.roll(shuffled, 1)
        orders.append(order)
    return orders


def shuffled_orders(n_epochs, subjects, seed, n_repeats):
    """Shuffle epochs again and again, within subjects where they are known."""
    _refuse_single_epoch("permutation", n_epochs)
    rng = check_random_state(seed)
    members = rows_by_subject(subjects, n_epochs).values()
    # Shuffled on and on, never anew: so does scikit-learn, where there are no subjects.
    shuffled = [np.arange(len(rows)) for rows in members]
    order, orders = np.arange(n_epochs), []
    for _ in range(n_repeats):
        for rows, positions in zip(members, shuffled, strict=True):
            rng.shuffle(positions)
            order[rows] = order[rows][positions]
        orders.append(order.copy())
    return orders


def make_parts(kind, network, sfreq, bands=None):
    """Divide signals into temporal tokens, or bands: functions that take what belongs to each."""
    if kind == "band":
        limits = _check_bands(bands, sfreq).items()
        cut = partial(_band_pass, sfreq=sfreq)
        return {name: partial(cut, low=low, high=high) for name, (low, high) in limits}
    names = part_names(network, sfreq)
    if len(names) == 1:
        return {names[0]: lambda signal: signal}
    token = np.arange(network.n_times) // network.token_length
    return {
        name: lambda signal, k=k: signal * (token == k).astype(np.float32)
        for k, name in enumerate(names)
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


def _check_bands(bands, sfreq):
    """Check that each band has two limits in Hz, below half of the sampling rate."""
    if not sfreq:
        raise ValueError(
            "Bands need a sampling rate, and the classifier was fitted on arrays without one: "
            "give it sfreq=, or fit on Epochs."
        )
    bands = BANDS if bands is None else bands
    if not isinstance(bands, dict) or not bands:
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


def _band_pass(signal, sfreq, low, high):
    options = {"method": "iir", "verbose": "ERROR"}
    found = mne.filter.filter_data(signal.astype(float), sfreq, low, high, **options)
    return found.astype(signal.dtype)
