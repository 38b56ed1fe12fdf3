"""Simulated EEG whose sources are known, to test what a classifier says it looked at."""

from functools import wraps
from types import MappingProxyType

import mne
import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from skeegformer._validation import check_one_of
from skeegformer.datasets._channels import CH_NAMES, SFREQ, electrode_montage
from skeegformer.datasets._simulation_design import Design
from skeegformer.datasets._simulation_recording import draw_subjects, make_streams, record
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
    background=15.0,
    slope=1.0,
    variability=1.0,
    alpha_snr=0.0,
    blink_rate=0.0,
    n_distractors=0,
    distractor_gain=8.0,
    n_line_noise=0,
    line_freq=50.0,
    n_redundant=0,
    n_suppressors=0,
    return_epochs=True,
    random_state=None,
):
    """Simulate EEG of several subjects in which the sources of every class are known.

    Each class has a rhythm that only its own epochs contain, or an evoked potential, from
    dipoles that lie below chosen electrodes and point at them. A spherical head model carries
    it to the 64 electrodes of the EEG Motor Movement/Imagery Dataset, on top of a 1/f
    background from many other dipoles. Whatever misleads explanations can be added: loud
    electrodes, blinks, strong rhythms without a class, copies and suppressors.

    Parameters
    ----------
    n_subjects : int
        Number of subjects.
    n_epochs : int
        Number of epochs per subject, shared among the classes as equally as possible.
    case : str
        Name of a set of parameters, a key of ``SIMULATED_CASES``: "plain", "phase-locked",
        "distractors", "line-noise", "blinks", "redundant", "suppressor", "weak" or "bands". It
        sets what the call itself does not give.
    sources : dict of str to str or list of str, or None
        Class to the electrode, or electrodes, above the sources of its rhythm. A class without
        a source has an empty list. None for ``{"left": "C3", "right": "C4"}``: whoever imagines
        to move a hand keeps the rhythm of the motor cortex on the same side and loses it on the
        other. With `evoked`, None is for no rhythms.
    evoked : dict of str to dict of str to float, or None
        Class to the electrodes above the sources of its evoked potential, each with the peak
        in microvolts that it has there; the sign is the polarity. Classes are those of
        `sources` and `evoked` together.
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
    background : float
        Root mean square of the background in microvolts, over electrodes, on average over
        subjects.
    slope : float
        Power of the background falls as ``1 / f**slope``, on average over subjects.
    variability : float
        How much subjects differ in amplitude, peak frequency, slope, background and in the exact
        place of their sources; 0 for subjects that differ by chance only.
    alpha_snr : float
        The same as `snr` for a rhythm around 10 Hz that epochs of all classes have, from below
        O1 and O2.
    blink_rate : float
        Blinks per minute, at random times. They peak at 150 microvolts at the forehead.
    n_distractors : int
        Number of electrodes that carry nothing but loud noise. They are drawn from those that
        see the sources at less than half the strength of the best one, and are the same in all
        subjects; those of the following parameters likewise.
    distractor_gain : float
        Root mean square of that noise, in units of `background`.
    n_line_noise : int
        Number of electrodes without contact, which carry the mains, at eight times the root mean
        square of the background, and a background of their own.
    line_freq : float
        Frequency of the mains in Hz.
    n_redundant : int
        Number of electrodes that copy, in turn, one above a source, plus a little noise.
    n_suppressors : int
        Number of suppressors, shared in turn among the sources of rhythms. Epochs of all classes
        get a rhythm at such a source, twenty times weaker in power than that of the class, and
        one strength, which varies much from epoch to epoch, scales both. The suppressor carries
        that common rhythm: alone it says nothing about the class, but a strong rhythm at the
        source means the class only if it is strong compared with the suppressor.
    return_epochs : bool
        Whether X is ``mne.Epochs`` in volts (True) or an array in microvolts (False).
    random_state : int, RandomState instance or None
        Seed; an int gives the same data at every call.

    Returns
    -------
    X : mne.EpochsArray or ndarray of shape (n_subjects * n_epochs, 64, n_times)
        The epochs, subject by subject, classes in random order. ``n_times`` is
        ``duration * sfreq``.
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
    ``truth.electrodes`` and falls off like ``truth.gain**2``; their neighbours carry the same
    information more weakly, as in real EEG.

    The alpha rhythm, blinks, distractors, line noise and copies draw from streams of their own:
    with an int as `random_state`, data with and without one of them are the same but for it.

    Suppressors are what makes it wrong to read the weights of a model as places of a signal
    [1]_: a good model needs them.

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
    design = Design(
        n_subjects=n_subjects,
        n_epochs=n_epochs,
        sources=sources,
        evoked=evoked,
        sfreq=sfreq,
        duration=duration,
        frequency=frequency,
        latency=latency,
        snr=snr,
        background=background,
        slope=slope,
        variability=variability,
        alpha_snr=alpha_snr,
        blink_rate=blink_rate,
        n_distractors=n_distractors,
        distractor_gain=distractor_gain,
        n_line_noise=n_line_noise,
        line_freq=line_freq,
        n_redundant=n_redundant,
        n_suppressors=n_suppressors,
    )
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
    event_id = {label: code for code, label in enumerate(dict.fromkeys(np.sort(y).tolist()), 1)}
    events = np.column_stack(
        [
            np.arange(len(y)) * X.shape[-1],
            np.zeros(len(y), int),
            [event_id[label] for label in y.tolist()],
        ]
    )
    return mne.EpochsArray(
        1e-6 * X, info, events, event_id=event_id, metadata=metadata.copy(), verbose="ERROR"
    )
