"""What is known about simulated EEG, and how it follows from the sources."""

from dataclasses import dataclass
from itertools import cycle

import numpy as np
import pandas as pd

from skeegformer.datasets._channels import CH_NAMES
from skeegformer.datasets._simulation import (
    BANDWIDTH,
    EVOKED_WIDTH,
    SPREAD_FREQUENCY,
    blink_field,
    rhythm_spectrum,
    unit_field,
)

BANDS = {"delta": (1.0, 4.0), "theta": (4.0, 8.0), "alpha": (8.0, 13.0), "beta": (13.0, 30.0)}
_QUIET = 0.5  # of the gain of the best electrode; less is seen by electrodes that can be replaced
_BLINKING = 0.5  # of the largest blink; more is seen by electrodes that count as contaminated
_IRRELEVANT = 0.1  # of the relevance of the best electrode


@dataclass(frozen=True, eq=False)
class SimulatedTruth:
    """Ground truth of simulated EEG.

    Parameters
    ----------
    case : str
        Name of the case, a key of ``SIMULATED_CASES``.
    ch_names : tuple of str
        The electrodes, in the order of X.
    classes : tuple of str
        The labels.
    electrodes : dict of str to tuple of str
        For each class, the electrodes above its sources.
    gain : pandas.DataFrame of shape (n_classes, n_chans)
        Amplitude of the sources of each class at each electrode, relative to the electrode with the
        largest. A redundant electrode has the gain of the one that it copies; other replaced
        electrodes have 0.
    relevance : pandas.Series of shape (n_chans,)
        Difference in amplitude between the classes at each single electrode, relative to the
        largest difference, regardless of noise. 0 for replaced electrodes that are not copies.
    band_relevance : pandas.DataFrame of shape (n_bands, n_chans)
        The same for each band (delta 1-4, theta 4-8, alpha 8-13 and beta 13-30 Hz) and electrode,
        relative to the largest value.
    is_source, is_distractor, is_line_noise, is_redundant, is_suppressor : ndarray of bool
        Masks of shape (n_chans,): electrodes above a source, and those that the case replaces.
    is_blink, is_useless : ndarray of bool of shape (n_chans,)
        Electrodes with blinks of more than half the maximum amplitude, and electrodes that a model
        should ignore: distractors, line noise or blinks, with a relevance below 0.1.
    copies : dict of str to str
        For each redundant electrode, the electrode that it copies.
    suppressed : dict of str to str
        For each suppressor, the electrode above the source whose rhythm it helps to recover.
    subjects : pandas.DataFrame of shape (n_subjects, 3)
        ``frequency`` (Hz, on average over classes), ``amplitude`` (factor) and ``slope``
        (exponent of the 1/f background) of each subject.
    """

    case: str
    ch_names: tuple
    classes: tuple
    electrodes: dict
    gain: pd.DataFrame
    relevance: pd.Series
    band_relevance: pd.DataFrame
    is_source: np.ndarray
    is_distractor: np.ndarray
    is_line_noise: np.ndarray
    is_redundant: np.ndarray
    is_suppressor: np.ndarray
    is_blink: np.ndarray
    is_useless: np.ndarray
    copies: dict
    suppressed: dict
    subjects: pd.DataFrame


def class_gain(design):
    """Return how strongly the electrodes see the sources of each class, at most 1."""
    rows = []
    for label, names in design.sources.items():
        power = _relative(_rhythm_power(names))
        power = power + _relative(_evoked_field(design.evoked[label]) ** 2)
        rows.append(np.sqrt(_relative(power)))
    return pd.DataFrame(rows, index=list(design.sources), columns=list(CH_NAMES))


def draw_channels(design, rng):
    """Draw channels to be replaced from those that see little of the sources."""
    quiet = (class_gain(design) < _QUIET).all(axis=0) & ~np.isin(CH_NAMES, design.named)
    quiet = np.flatnonzero(quiet)
    kinds = ("n_distractors", "n_line_noise", "n_redundant", "n_suppressors")
    numbers = {kind: getattr(design, kind) for kind in kinds}
    if sum(numbers.values()) > len(quiet):
        raise ValueError(
            f"case={design.case!r} replaces {sum(numbers.values())} electrodes, but with these "
            f"sources only {len(quiet)} see so little of them that they can be replaced."
        )
    ends = np.cumsum(list(numbers.values()))
    parts = np.split(rng.permutation(quiet)[: ends[-1]], ends[:-1])
    return {kind: np.sort(part) for kind, part in zip(kinds, parts, strict=True)}


def make_truth(design, channels, subjects):
    """Return what is known about the data."""
    is_kind = {kind: np.isin(np.arange(len(CH_NAMES)), at) for kind, at in channels.items()}
    is_replaced = np.any(list(is_kind.values()), axis=0)
    is_blink = (blink_field() > _BLINKING) & (design.blink_rate > 0) & ~is_replaced
    names = {kind: [CH_NAMES[k] for k in at] for kind, at in channels.items()}
    copies = dict(zip(names["n_redundant"], cycle(design.named), strict=False))
    hidden = cycle(name for _, name in design.rhythms)

    gain, difference = class_gain(design), _class_difference(design)
    for table in (gain, difference):
        originals = table[list(copies.values())].to_numpy()
        table.loc[:, is_replaced] = 0.0
        table[list(copies)] = originals
    relevance = np.sqrt(_relative(difference.sum(axis=0)))
    is_noisy = is_kind["n_distractors"] | is_kind["n_line_noise"] | is_blink
    return SimulatedTruth(
        case=design.case,
        ch_names=CH_NAMES,
        classes=tuple(design.sources),
        electrodes=design.electrodes,
        gain=gain,
        relevance=relevance,
        band_relevance=np.sqrt(_relative(difference.loc[list(BANDS)])),
        is_source=np.isin(CH_NAMES, design.named),
        is_distractor=is_kind["n_distractors"],
        is_line_noise=is_kind["n_line_noise"],
        is_blink=is_blink,
        is_redundant=is_kind["n_redundant"],
        is_suppressor=is_kind["n_suppressors"],
        is_useless=is_noisy & (relevance < _IRRELEVANT).to_numpy(),
        copies=copies,
        suppressed=dict(zip(names["n_suppressors"], hidden, strict=False)),
        subjects=subjects,
    )


def _class_difference(design):
    """Return by how much the power of classes differs per band, or outside them, and electrode."""
    powers = np.zeros((len(design.sources), len(BANDS) + 1, len(CH_NAMES)))
    if design.snr > 0:
        for k, (label, names) in enumerate(design.sources.items()):
            if names:
                shares = _rhythm_bands(design, label)
                powers[k] = np.outer(shares, _relative(_rhythm_power(names)))
    # Potentials are compared before they are squared: opposite ones have the same power.
    potential = np.ptp([_evoked_field(peaks) for peaks in design.evoked.values()], axis=0)
    difference = np.ptp(powers, axis=0)
    difference += np.outer(_evoked_bands(), _relative(potential**2))
    return pd.DataFrame(difference, index=[*BANDS, "rest"], columns=list(CH_NAMES))


def _rhythm_power(names):
    return (unit_field(names) ** 2).sum(axis=1)


def _evoked_field(peaks):
    """Return the potential at every electrode in microvolts."""
    return unit_field(list(peaks)) @ np.array(list(peaks.values()), float)


def _relative(values):
    """Divide by the largest value, unless all are 0."""
    return values / max(np.max(values), np.finfo(float).tiny)


def _rhythm_bands(design, label):
    """Return which share of a rhythm's power lies in each band and outside, over all subjects."""
    f = np.arange(0.05, 100, 0.1)
    width = np.hypot(BANDWIDTH, SPREAD_FREQUENCY)
    return _shares(f, rhythm_spectrum(design.frequency[label], width)(f))


def _evoked_bands():
    """Return which share of an evoked potential's power lies in each band and outside."""
    # What is slower than 1 Hz is left out: no band has it, and filters take it from EEG.
    f = np.arange(1.05, 100, 0.1)
    return _shares(f, np.exp(-((2 * np.pi * EVOKED_WIDTH * f) ** 2)))


def _shares(f, power):
    bands = [power[(f >= low) & (f < high)].sum() for low, high in BANDS.values()] / power.sum()
    return np.append(bands, 1 - bands.sum())
