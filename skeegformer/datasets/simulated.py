"""Simulated EEG whose sources are known, to test what a classifier says it looked at."""

from collections.abc import Mapping
from functools import wraps
from numbers import Real
from types import MappingProxyType, SimpleNamespace

import mne
import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from skeegformer._utils.info import electrode_montage
from skeegformer._validation import check_count, check_one_of, check_positive
from skeegformer.datasets._channels import CH_NAMES, SFREQ
from skeegformer.datasets._simulation import LINE_FREQUENCY, draw_subjects, make_streams, record
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
"""What each case of `make_simulated_eeg` asks for, beyond the defaults."""

_MARGIN = 4.0  # Hz, that a rhythm keeps from 0 and from half the sampling frequency


def _takes_case(make):
    """Let a function's `case` set those parameters that a call does not give."""

    @wraps(make)
    def call(*args, case="plain", **given):
        check_one_of("case", case, tuple(SIMULATED_CASES))
        return make(*args, case=case, **{**SIMULATED_CASES[case], **given})

    return call


@_takes_case
def make_simulated_eeg(
    n_subjects=8,
    n_epochs=40,
    *,
    case="plain",
    sources=None,
    evoked=None,
    sfreq=SFREQ,
    duration=2.0,
    frequency=10.0,
    latency=0.4,
    snr=3.0,
    slope=1.0,
    variability=1.0,
    alpha_snr=0.0,
    blink_rate=0.0,
    n_distractors=0,
    n_line_noise=0,
    n_redundant=0,
    n_suppressors=0,
    return_epochs=True,
    random_state=None,
):
    """Simulate EEG of several subjects in which the sources of every class are known.

    Each class has a rhythm that only its own epochs contain, or an evoked potential, from
    dipoles that lie below chosen electrodes and point at them. A spherical head model carries
    it to the 64 electrodes of the EEG Motor Movement/Imagery Dataset, on top of a 1/f
    background of 15 microvolts (root mean square) from many other dipoles.

    Parameters
    ----------
    n_subjects : int
        Number of subjects.
    n_epochs : int
        Number of epochs per subject, shared among the classes as equally as possible.
    case : str
        Of ``SIMULATED_CASES``: "plain", "phase-locked", "distractors", "line-noise", "blinks",
        "redundant", "suppressor", "weak" or "bands". It sets what the call itself does not give.
    sources : dict of str to str or list of str, or None
        Class to the electrode, or electrodes, above the sources of its rhythm; an empty list for
        none. None for ``{"left": "C3", "right": "C4"}``, but with `evoked` for no rhythms.
    evoked : dict of str to dict of str to float, or None
        Class to the electrodes above the sources of its evoked potential, each with its peak in
        microvolts. Classes are those of `sources` and `evoked` together.
    sfreq : float
        Sampling frequency in Hz.
    duration : float
        Length of an epoch in seconds.
    frequency : float or dict of str to float
        Peak of the rhythm in Hz, on average over subjects; or class to that peak.
    latency : float
        Seconds from the start of an epoch to the peak of evoked potentials.
    snr : float
        Power of the rhythm divided by the power of the background, within 2 Hz of the peak and at
        the electrode above the source, in epochs of the class. 0 makes rhythms vanish.
    slope : float
        Power of the background falls as ``1 / f**slope``, on average over subjects.
    variability : float
        How much subjects differ in amplitude, peak frequency, slope, background and in the exact
        place of their sources; 0 for subjects that differ by chance only.
    alpha_snr : float
        As `snr`, of a rhythm around 10 Hz from below O1 and O2 that epochs of all classes have.
    blink_rate : float
        Blinks per minute, at random times. They peak at 150 microvolts at the forehead.
    n_distractors : int
        Number of electrodes that carry nothing but noise, eight times as large as the background.
        They, and those of the following parameters, are drawn from those that see little of the
        sources.
    n_line_noise : int
        Number of electrodes without contact, which carry the mains of 50 Hz, eight times as large
        as the background, and a background of their own.
    n_redundant : int
        Number of electrodes that copy, in turn, one above a source, plus a little noise.
    n_suppressors : int
        Number of suppressors, shared in turn among the sources of rhythms. Epochs of all classes
        get a rhythm at such a source, twenty times weaker in power than that of the class, and
        one strength, which varies much from epoch to epoch, scales both. The suppressor carries
        that common rhythm, and alone says nothing about the class: it is what makes it wrong to
        read the weights of a model as places of a signal [1]_.
    return_epochs : bool
        Whether X is ``mne.Epochs`` in volts (True) or an array in microvolts (False).
    random_state : int, RandomState instance or None
        Seed; an int gives the same data at every call.

    Returns
    -------
    X : mne.EpochsArray or ndarray of shape (n_subjects * n_epochs, 64, n_times)
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
        classes or fewer quiet electrodes than are asked for, or a number is outside its range.

    See Also
    --------
    load_eegmmi : Real recordings from the same electrodes.

    Notes
    -----
    At the default setting, common spatial patterns from 6 to 14 Hz that are learnt from three
    quarters of the subjects tell the classes of the others apart with a balanced accuracy between
    0.8 and 0.95. The difference in power between classes is largest at the electrodes in
    ``truth.electrodes`` and falls off like ``truth.gain**2``.

    The alpha rhythm, blinks, distractors, line noise and copies draw from streams of their own:
    with an int as `random_state`, data with and without one of them are the same but for it.

    References
    ----------
    .. [1] Haufe et al. (2014), On the interpretation of weight vectors of linear models in
       multivariate neuroimaging. NeuroImage 87. doi:10.1016/j.neuroimage.2013.10.067

    Examples
    --------
    >>> from skeegformer import make_simulated_eeg
    >>> X, y, metadata, truth = make_simulated_eeg(2, 10, n_distractors=3, random_state=0)
    >>> X.get_data().shape
    (20, 64, 320)
    >>> metadata["subject"].value_counts(sort=False).to_dict()
    {1: 10, 2: 10}
    >>> truth.electrodes
    {'left': ('C3',), 'right': ('C4',)}
    >>> truth.gain.idxmax(axis=1).to_dict()
    {'left': 'C3', 'right': 'C4'}

    A case sets the parameters that are not given:

    >>> X, y, metadata, truth = make_simulated_eeg(2, 10, case="bands", random_state=0)
    >>> truth.band_relevance.idxmax(axis=1)[["theta", "beta"]].to_dict()
    {'theta': 'C3', 'beta': 'C4'}
    """
    design = _complete(SimpleNamespace(**locals()))
    rng = check_random_state(random_state)
    streams = make_streams(rng)
    channels = draw_channels(design, streams["distractors"])
    subjects = draw_subjects(design, rng)
    X, y = record(design, channels, subjects, rng, streams)
    metadata = pd.DataFrame(
        {"subject": np.repeat(subjects.index.to_numpy(), n_epochs), "session": "0", "run": "0"}
    )
    truth = make_truth(design, channels, subjects, case)
    return (_to_epochs(X, y, metadata, sfreq) if return_epochs else X), y, metadata, truth


def _to_epochs(X, y, metadata, sfreq):
    """Return microvolts as epochs in volts, with positions, events and metadata."""
    info = mne.create_info(list(CH_NAMES), sfreq, "eeg")
    info.set_montage(electrode_montage())
    labels, codes = np.unique(y, return_inverse=True)
    events = np.column_stack([np.arange(len(y)) * X.shape[-1], 0 * codes, codes + 1])
    event_id = {label: code for code, label in enumerate(labels.tolist(), 1)}
    return mne.EpochsArray(
        1e-6 * X, info, events, event_id=event_id, metadata=metadata.copy(), verbose="ERROR"
    )


def _complete(design):
    """Check parameters, and add what follows from them.

    `sources` and `evoked` come to have all classes.
    """
    design.sources, design.evoked = _check_sources(design.sources, design.evoked)
    _check_numbers(design)
    design.n_times = round(design.duration * design.sfreq)
    design.electrodes = {  # above sources of either kind
        label: tuple(dict.fromkeys([*names, *design.evoked[label]]))
        for label, names in design.sources.items()
    }
    design.named = list(dict.fromkeys(sum(design.electrodes.values(), ())))
    design.rhythms = [(label, name) for label, names in design.sources.items() for name in names]
    design.mean_frequency, design.frequencies = _check_frequencies(design)
    problem = None
    if any(design.evoked.values()) and design.latency >= design.duration:
        problem = f"latency={design.latency} s does not lie within epochs of {design.duration} s."
    elif design.n_line_noise and design.sfreq <= 2 * LINE_FREQUENCY:
        problem = f"sfreq={design.sfreq} Hz is too low for line noise of {LINE_FREQUENCY:g} Hz."
    elif design.n_suppressors and not design.rhythms:
        problem = f"n_suppressors={design.n_suppressors}, but no class has a rhythm in sources."
    elif design.n_redundant and not design.named:
        problem = f"n_redundant={design.n_redundant}, but no class has a source to be copied."
    if problem:
        raise ValueError(problem)
    return design


def _check_sources(sources, evoked):
    """Return class to electrodes, and class to electrode to peak, both with all classes."""
    if sources is None:
        sources = {"left": "C3", "right": "C4"} if evoked is None else {}
    if not isinstance(sources, Mapping):
        raise ValueError(
            f"sources={sources!r} is not a dict of class to electrodes, such as "
            '{"left": "C3", "right": "C4"}.'
        )
    sources = {
        str(label): (names,) if isinstance(names, str) else tuple(names)
        for label, names in sources.items()
    }
    evoked = {} if evoked is None else evoked
    entries = list(evoked.values()) if isinstance(evoked, Mapping) else [None]
    are_dicts = all(isinstance(entry, Mapping) for entry in entries)
    peaks = [peak for entry in entries for peak in entry.values()] if are_dicts else [None]
    if not all(isinstance(peak, Real) and np.isfinite(peak) for peak in peaks):
        raise ValueError(
            f"evoked={evoked!r} is not a dict of class to a dict of electrode to peak in "
            'microvolts, such as {"target": {"Pz": 8.0}, "standard": {}}.'
        )
    evoked = {str(label): dict(entry) for label, entry in evoked.items()}
    labels = list(dict.fromkeys([*sources, *evoked]))
    if len(labels) < 2:
        raise ValueError(
            f"sources and evoked name {len(labels)} class(es); two or more are needed."
        )
    for parameter, part in (("sources", sources), ("evoked", evoked)):
        unknown = [name for names in part.values() for name in names if name not in CH_NAMES]
        if unknown:
            raise ValueError(
                f"{parameter} names the electrode {unknown[0]!r}, which is not one of the 64: "
                f"{', '.join(CH_NAMES)}."
            )
    return {k: sources.get(k, ()) for k in labels}, {k: evoked.get(k, {}) for k in labels}


def _check_numbers(design):
    """Refuse numbers outside their ranges, and counts that leave a class without data."""
    counts = {"n_subjects": 1, "n_epochs": len(design.sources), "n_distractors": 0}
    for name, least in {**counts, "n_line_noise": 0, "n_redundant": 0, "n_suppressors": 0}.items():
        check_count(name, getattr(design, name), least)
    for name in ("sfreq", "duration", "latency"):
        check_positive(name, getattr(design, name))
    for name in ("snr", "variability", "slope", "alpha_snr", "blink_rate"):
        check_positive(name, getattr(design, name), or_zero=True)
    if round(design.duration * design.sfreq) < 2:
        raise ValueError(f"duration={design.duration} s is shorter than two samples.")


def _check_frequencies(design):
    """Return the mean peak and that of each class; refuse what sfreq cannot hold."""
    is_dict = isinstance(design.frequency, Mapping)
    given = design.frequency if is_dict else dict.fromkeys(design.sources, design.frequency)
    peaks = {str(label): peak for label, peak in given.items()}
    expected = {label for label, _ in design.rhythms}
    if not expected <= set(peaks) <= set(design.sources) or not peaks:
        raise ValueError(
            f"frequency has the classes {', '.join(peaks) or '(none)'}, but those with a rhythm "
            f"are {', '.join(sorted(expected)) or '(none)'}; give one number for each of these, "
            "or a single number."
        )
    highest = design.sfreq / 2 - _MARGIN
    for peak in peaks.values():
        if not isinstance(peak, Real) or not _MARGIN < peak < highest:
            raise ValueError(
                f"frequency={design.frequency} Hz; at sfreq={design.sfreq} Hz rhythms must lie "
                f"between {_MARGIN} and {highest} Hz."
            )
    return float(np.mean(list(peaks.values()))) if is_dict else design.frequency, peaks
