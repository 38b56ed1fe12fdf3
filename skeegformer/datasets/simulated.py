"""Simulated EEG whose sources are known, to test what a classifier says it looked at."""

from collections.abc import Mapping
from types import MappingProxyType, SimpleNamespace

import mne
import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from skeegformer._utils.info import electrode_montage
from skeegformer._validation import check_count, check_one_of, check_positive
from skeegformer.datasets._channels import CH_NAMES, SFREQ
from skeegformer.datasets._simulation import (
    LATENCY,
    LINE_FREQUENCY,
    draw_subjects,
    make_streams,
    record,
)
from skeegformer.datasets._simulation_truth import SimulatedTruth, draw_channels, make_truth

__all__ = ["SIMULATED_CASES", "SimulatedTruth", "make_simulated_eeg"]

SIMULATED_CASES = MappingProxyType(
    {
        "plain": {},
        "phase-locked": {
            "evoked": {"left": {"C3": 25.0, "C4": -25.0}, "right": {"C3": -25.0, "C4": 25.0}}
        },
        "distractors": {"n_distractors": 5},
        "line-noise": {"n_line_noise": 8},
        "blinks": {"blink_rate": 20.0},
        "redundant": {"n_redundant": 4},
        "suppressor": {"snr": 200.0, "n_suppressors": 12},
        "weak": {"snr": 5.0, "alpha_snr": 40.0},
        "bands": {"frequency": {"left": 6.0, "right": 20.0}},
    }
)
"""What each case of `make_simulated_eeg` has beyond a plain rhythm of 10 Hz with an `snr` of 3.

``evoked``: class to the electrodes above the sources of its evoked potential, each with its peak
in microvolts, 0.4 s after the start of an epoch. ``frequency``: class to the peak of its rhythm in
Hz. ``alpha_snr``: as `snr`, of a rhythm around 10 Hz from below O1 and O2 in epochs of all classes.
``blink_rate``: blinks per minute, at random times, of 150 microvolts at the forehead.

The others are numbers of electrodes, drawn from those that see little of the sources.
``n_distractors`` carry nothing but noise, eight times as large as the background; ``n_line_noise``
have no contact, and carry the mains of 50 Hz, as large, and a background of their own;
``n_redundant`` copy, in turn, one above a source, plus a little noise; ``n_suppressors`` are shared
in turn among the sources. Epochs of all classes get a rhythm at such a source, twenty times weaker
in power than that of the class, and one strength, which varies much from epoch to epoch, scales
both. The suppressor carries that common rhythm, and alone says nothing about the class: it is what
makes it wrong to read the weights of a model as places of a signal (Haufe et al. 2014,
doi:10.1016/j.neuroimage.2013.10.067).
"""
_PLAIN = {
    "snr": 3.0,
    "frequency": 10.0,
    "evoked": {},
    "alpha_snr": 0.0,
    "blink_rate": 0.0,
    "n_distractors": 0,
    "n_line_noise": 0,
    "n_redundant": 0,
    "n_suppressors": 0,
}
_MARGIN = 4.0  # Hz, that a rhythm keeps from half the sampling frequency


def make_simulated_eeg(
    n_subjects=8,
    n_epochs=40,
    *,
    case="plain",
    sources=None,
    sfreq=SFREQ,
    duration=2.0,
    snr=None,
    random_state=None,
):
    """Simulate EEG of several subjects in which the sources of every class are known.

    Each class has a rhythm that only its own epochs contain, from dipoles that lie below chosen
    electrodes and point at them. A spherical head model carries it to the 64 electrodes of the EEG
    Motor Movement/Imagery Dataset, on top of a 1/f background of 15 microvolts (root mean square)
    from many other dipoles. Subjects differ in amplitude, peak frequency, slope of the background,
    and in the exact place of their sources.

    Parameters
    ----------
    n_subjects : int
        Number of subjects.
    n_epochs : int
        Number of epochs per subject, shared among the classes as equally as possible.
    case : str
        Of ``SIMULATED_CASES``, which tells what each has: "plain", "phase-locked" (evoked
        potentials in place of rhythms), "distractors", "line-noise", "blinks", "redundant",
        "suppressor", "weak" or "bands".
    sources : dict of str to str or list of str, or None
        Class to the electrode, or electrodes, above the sources of its rhythm; an empty list for
        none. None for ``{"left": "C3", "right": "C4"}``, which "phase-locked" and "bands" need.
    sfreq : float
        Sampling frequency in Hz.
    duration : float
        Length of an epoch in seconds.
    snr : float or None
        Power of the rhythm divided by the power of the background, within 2 Hz of the peak and at
        the electrode above the source, in epochs of the class. 0 makes rhythms vanish; None takes
        that of the case, mostly 3.
    random_state : int, RandomState instance or None
        Seed; an int gives the same data at every call.

    Returns
    -------
    X : mne.EpochsArray of n_subjects * n_epochs epochs of 64 channels
        The epochs, subject by subject, classes in random order.
    y : ndarray of str of shape (n_subjects * n_epochs,)
        The labels.
    metadata : pandas.DataFrame of shape (n_subjects * n_epochs, 3)
        ``subject`` (int, from 1), ``session`` and ``run`` (both always "0").
    truth : SimulatedTruth
        Where the sources are, which electrodes carry what, and what is of use.

    Raises
    ------
    ValueError
        If a case or an electrode is unknown, there are fewer than two classes, fewer epochs than
        classes or fewer quiet electrodes than the case needs, or a number is outside its range.

    See Also
    --------
    load_eegmmi : Real recordings from the same electrodes.

    Notes
    -----
    Common spatial patterns from 6 to 14 Hz tell the classes of other subjects apart with a
    balanced accuracy between 0.8 and 0.95. What a case adds draws from random numbers of its own:
    with an int as `random_state`, data of "plain" and of "distractors" are the same but for the
    distractors.

    Examples
    --------
    >>> from skeegformer import make_simulated_eeg
    >>> X, y, metadata, truth = make_simulated_eeg(2, 10, random_state=0)
    >>> X.get_data().shape
    (20, 64, 320)
    >>> metadata["subject"].value_counts(sort=False).to_dict()
    {1: 10, 2: 10}
    >>> truth.electrodes
    {'left': ('C3',), 'right': ('C4',)}
    >>> truth.gain.idxmax(axis=1).to_dict()
    {'left': 'C3', 'right': 'C4'}
    """
    design = _make_design(n_subjects, n_epochs, case, sources, sfreq, duration, snr)
    rng = check_random_state(random_state)
    streams = make_streams(rng)
    channels = draw_channels(design, streams["distractors"])
    subjects = draw_subjects(design, rng)
    data, y = record(design, channels, subjects, rng, streams)
    metadata = pd.DataFrame(
        {"subject": np.repeat(subjects.index.to_numpy(), n_epochs), "session": "0", "run": "0"}
    )
    info = mne.create_info(list(CH_NAMES), sfreq, "eeg").set_montage(electrode_montage())
    labels, codes = np.unique(y, return_inverse=True)
    X = mne.EpochsArray(
        1e-6 * data,
        info,
        np.column_stack([np.arange(len(y)) * design.n_times, 0 * codes, codes + 1]),
        event_id={label: code for code, label in enumerate(labels.tolist(), 1)},
        metadata=metadata.copy(),
        verbose="ERROR",
    )
    return X, y, metadata, make_truth(design, channels, subjects)


def _make_design(n_subjects, n_epochs, case, sources, sfreq, duration, snr):
    """Check parameters, and add what follows from them and from the case."""
    check_one_of("case", case, tuple(SIMULATED_CASES))
    design = SimpleNamespace(**{**_PLAIN, **SIMULATED_CASES[case]}, case=case)
    design.sources = _check_sources(case, sources)
    check_count("n_subjects", n_subjects, 1)
    check_count("n_epochs", n_epochs, len(design.sources))
    check_positive("sfreq", sfreq)
    check_positive("duration", duration)
    design.n_subjects, design.n_epochs, design.sfreq = n_subjects, n_epochs, sfreq
    design.snr = design.snr if snr is None else check_positive("snr", snr, or_zero=True)
    design.n_times = round(duration * sfreq)
    design.evoked = {label: design.evoked.get(label, {}) for label in design.sources}
    design.electrodes = {  # above sources of either kind
        label: tuple(dict.fromkeys([*names, *design.evoked[label]]))
        for label, names in design.sources.items()
    }
    design.named = list(dict.fromkeys(sum(design.electrodes.values(), ())))
    design.rhythms = [(label, name) for label, names in design.sources.items() for name in names]
    if not isinstance(design.frequency, Mapping):
        design.frequency = dict.fromkeys(design.sources, design.frequency)
    design.mean_frequency = float(np.mean(list(design.frequency.values())))
    peak, problem = max(design.frequency.values()), None
    if design.n_times < 2:
        problem = f"duration={duration} s is shorter than two samples."
    elif any(design.evoked.values()) and duration <= LATENCY:
        problem = f"duration={duration} s ends before evoked potentials peak, at {LATENCY} s."
    elif peak >= sfreq / 2 - _MARGIN:
        problem = f"sfreq={sfreq} Hz is too low for a rhythm of {peak:g} Hz."
    elif design.n_line_noise and sfreq <= 2 * LINE_FREQUENCY:
        problem = f"sfreq={sfreq} Hz is too low for line noise of {LINE_FREQUENCY:g} Hz."
    elif (design.n_suppressors or design.n_redundant) and not design.rhythms:
        problem = f"case={case!r} needs the source of a rhythm, but sources names none."
    if problem:
        raise ValueError(problem)
    return design


def _check_sources(case, sources):
    """Return class to electrodes above the sources of its rhythm."""
    if sources is None:
        return (
            {"left": (), "right": ()}
            if case == "phase-locked"
            else {"left": ("C3",), "right": ("C4",)}
        )
    if case in ("phase-locked", "bands"):
        raise ValueError(f"case={case!r} has sources of its own; leave sources out.")
    if not isinstance(sources, Mapping):
        raise ValueError(
            f"sources={sources!r} is not a dict of class to electrodes, such as "
            '{"left": "C3", "right": "C4"}.'
        )
    sources = {
        str(label): (names,) if isinstance(names, str) else tuple(names)
        for label, names in sources.items()
    }
    if len(sources) < 2:
        raise ValueError(f"sources names {len(sources)} class(es); two or more are needed.")
    unknown = [name for names in sources.values() for name in names if name not in CH_NAMES]
    if unknown:
        raise ValueError(
            f"sources names the electrode {unknown[0]!r}, which is not one of the 64: "
            f"{', '.join(CH_NAMES)}."
        )
    return sources
