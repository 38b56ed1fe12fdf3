"""The size of a signal, by which volts are told from microvolts, and epochs from artefacts."""

import warnings
from statistics import median  # of a few numbers sooner than NumPy's

import numpy as np
import torch

from skeegformer._validation._memmap import BATCH, batches_of
from skeegformer._validation._parameters import listed

# How many times more or less than epochs of `fit` others may fluctuate without a warning.
_FAR = 100


def remember_scale(estimator, eeg):
    """Remember the size of the signal in `fit`; warn of odd epochs, and of names that are lost."""
    sizes, size, estimator._input_scale = _sizes(eeg.data)
    if eeg.ch_names is None and not eeg.is_flat and 1e-7 < estimator._input_scale < 1e-3:
        warnings.warn(
            f"X is an array that fluctuates by {estimator._input_scale:.2g}, as Epochs do in "
            "volts. Names of channels, rate and subjects are lost in arrays, so that nothing "
            "is mirrored: pass the Epochs themselves, indexed as epochs[mask].",
            stacklevel=4,
        )
    if eeg.data.shape[-1] > 1 and not sizes.any():
        warnings.warn(
            "Every channel of X is flat in every epoch, so that there is nothing to learn from: "
            "look at how the epochs were read or filtered.",
            stacklevel=4,
        )
    warn_of_odd_epochs(estimator._input_scale, size, sizes, eeg.ch_names)


def in_other_unit(size, fitted):
    """Tell whether one of two sizes of a signal is in volts and the other in microvolts."""
    ratio = size / fitted if fitted else 0
    return 1e-7 < ratio < 1e-5 or 1e5 < ratio < 1e7


def refuse_other_unit(estimator, eeg):
    """Raise where volts meet microvolts, which would be classified without a word."""
    sizes, size, scale = _sizes(eeg.data)
    if not in_other_unit(scale, estimator._input_scale):
        warn_of_odd_epochs(estimator._input_scale, size, sizes, eeg.ch_names)
        return
    way_out = "Epochs are scaled to microvolts, arrays are taken as they are; pass "
    if (eeg.info is None) == (estimator.info_ is None):
        way_out = "Pass what is in the same unit; the data of Epochs are volts."
    elif scale > estimator._input_scale and estimator.info_ is None:
        way_out += "epochs.get_data()."
    else:
        way_out += "arrays as epochs.get_data(units='uV')."
    raise ValueError(
        f"X fluctuates by {scale:.2g}, but what this {type(estimator).__name__} was fitted with by "
        f"{estimator._input_scale:.2g}: one is in volts, the other in microvolts. {way_out}"
    )


def _sizes(data):
    """Measure the fluctuations of each channel in each epoch, of each epoch, and of all."""
    # In parts for arrays as well: a standard deviation takes a temporary of the size of its input.
    blocks = (torch.from_numpy(block) for block in batches_of(data, BATCH))
    sizes = torch.cat([_deviations(block) for block in blocks]).numpy()
    size = _medians(sizes, 1)
    return sizes, size, median(size.tolist())


def _deviations(signal):
    """Compute standard deviations over samples, of one epoch in half of NumPy's time."""
    return (signal - signal.mean(dim=2, keepdim=True)).square().mean(dim=2).sqrt()


def _medians(sizes, axis):
    """Compute medians, for a single epoch in a tenth of NumPy's time."""
    sizes, n = np.sort(sizes, axis=axis), sizes.shape[axis]
    return (sizes.take((n - 1) // 2, axis) + sizes.take(n // 2, axis)) / 2


def warn_of_odd_epochs(typical, size, sizes, ch_names):
    """Name epochs and channels that fluctuate by far more than is typical of fit, or by less."""
    if not typical or typical / _FAR <= sizes.min() <= sizes.max() <= typical * _FAR:
        return
    odd = np.flatnonzero(~((size >= typical / _FAR) & (size <= typical * _FAR)))
    if len(odd):
        warnings.warn(
            f"{len(odd)} of {len(size)} epochs (from 0 on: {listed(odd)}) fluctuate by "
            f"{size[odd].min():.2g} to {size[odd].max():.2g}, but a typical epoch of fit by "
            f"{typical:.2g}: they are flat, artefacts, or in another unit, and what is made of "
            "them means little. Drop them (epochs.drop_bad), or pass the same unit.",
            stacklevel=5,
        )
    usual = _medians(sizes, 0)
    odd = np.flatnonzero((usual > typical * _FAR) | (usual < typical / _FAR))
    if 0 < len(odd) <= len(usual) / 2:  # else epochs are odd
        names = odd if ch_names is None else [ch_names[channel] for channel in odd]
        warnings.warn(
            f"{len(odd)} of {len(usual)} channels ({listed(names)}) fluctuate by "
            f"{usual[odd].min():.2g} to {usual[odd].max():.2g}, but a typical channel of fit by "
            f"{typical:.2g}: an electrode that has come off, the reference, or another unit. "
            "Interpolate or drop them.",
            stacklevel=5,
        )
