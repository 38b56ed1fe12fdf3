"""Simulated EEG whose sources are known, to test what a classifier says it looked at."""

from dataclasses import dataclass
from functools import lru_cache
from numbers import Integral

import mne
import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from skeegformer.datasets._channels import CH_NAMES, SFREQ, electrode_montage

_DEPTH = 0.8  # of a source, as a fraction of the way from the centre of the head to the scalp
_N_BACKGROUND = 200  # dipoles, more than electrodes, so that the background has full rank
_SENSOR_NOISE = 0.01  # share of the background's power that no two electrodes have in common
_HALF_BAND = 2.0  # Hz, on either side of the peak, in which `snr` counts
_BANDWIDTH = 1.0  # Hz, standard deviation of the spectrum of the rhythm around its peak
_SPREAD_AMPLITUDE = 0.25  # of the logarithm of a subject's amplitude
_SPREAD_TRIAL = 0.3  # of the logarithm of a trial's rhythm
_SPREAD_FREQUENCY = 0.7  # Hz, of a subject's peak
_SPREAD_SLOPE = 0.15  # of the exponent of a subject's background spectrum
_SPREAD_POSITION = 0.006  # m, of a subject's sources along each axis
_SPREAD_BACKGROUND = 0.3  # of the logarithm of a background dipole


@dataclass(frozen=True, eq=False)
class SimulatedTruth:
    """What is known about simulated EEG.

    Parameters
    ----------
    ch_names : tuple of str
        The electrodes, in the order of X.
    classes : tuple of str
        The labels.
    electrodes : dict of str to tuple of str
        Class to the electrodes above its sources.
    positions : dict of str to ndarray of shape (n_sources, 3)
        Class to the positions of its sources in head coordinates, in metres, before they are
        shifted for each subject.
    gain : pandas.DataFrame of shape (n_classes, n_chans)
        How strongly each electrode sees the sources of each class: the root of their summed
        squared lead field, relative to the electrode that sees them best; 0 for distractors.
    is_source : ndarray of bool of shape (n_chans,)
        Whether an electrode lies above a source of any class.
    is_distractor : ndarray of bool of shape (n_chans,)
        Whether an electrode carries nothing but loud noise.
    frequency : float
        Peak of the rhythm in Hz, on average over subjects.
    subjects : pandas.DataFrame of shape (n_subjects, 3)
        ``frequency`` (Hz), ``amplitude`` (factor) and ``slope`` (exponent of the 1/f background)
        of each subject.
    """

    ch_names: tuple
    classes: tuple
    electrodes: dict
    positions: dict
    gain: pd.DataFrame
    is_source: np.ndarray
    is_distractor: np.ndarray
    frequency: float
    subjects: pd.DataFrame


def make_simulated_eeg(
    n_subjects=8,
    n_epochs=40,
    *,
    sources=None,
    sfreq=SFREQ,
    duration=2.0,
    frequency=10.0,
    snr=3.0,
    background=15.0,
    slope=1.0,
    variability=1.0,
    n_distractors=0,
    distractor_gain=8.0,
    return_epochs=True,
    random_state=None,
):
    """Simulate EEG of several subjects in which the sources of every class are known.

    Each class has a rhythm that only its own epochs contain, from dipoles that lie below chosen
    electrodes and point at them. A spherical head model carries it to the 64 electrodes of the
    EEG Motor Movement/Imagery Dataset, on top of a 1/f background from many other dipoles.

    Parameters
    ----------
    n_subjects : int
        Number of subjects.
    n_epochs : int
        Number of epochs per subject, shared among the classes as equally as possible.
    sources : dict of str to str or list of str, or None
        Class to the electrode, or electrodes, above its sources. A class without a source has an
        empty list. None for ``{"left": "C3", "right": "C4"}``: whoever imagines to move a hand
        keeps the rhythm of the motor cortex on the same side and loses it on the other.
    sfreq : float
        Sampling frequency in Hz.
    duration : float
        Length of an epoch in seconds.
    frequency : float
        Peak of the rhythm in Hz, on average over subjects.
    snr : float
        Power of the rhythm divided by the power of the background, within 2 Hz of the peak and at
        the electrode above the source, in epochs of the class. 0 makes the classes equal.
    background : float
        Root mean square of the background in microvolts, over electrodes, on average over
        subjects.
    slope : float
        Power of the background falls as ``1 / f**slope``, on average over subjects.
    variability : float
        How much subjects differ in amplitude, peak frequency, slope, background and in the exact
        place of their sources; 0 for subjects that differ by chance only.
    n_distractors : int
        Number of electrodes that carry nothing but loud noise. They are drawn from those that
        see the sources at less than half the strength of the best one, and are the same in all
        subjects.
    distractor_gain : float
        Root mean square of that noise, in units of `background`.
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
        Where the sources and the distractors are.

    Raises
    ------
    ValueError
        If an electrode is unknown, there are fewer than two classes, fewer epochs than classes or
        fewer quiet electrodes than distractors, or a number is outside its range.

    See Also
    --------
    load_eegmmi : Real recordings from the same electrodes.

    Notes
    -----
    At the default setting, common spatial patterns from 6 to 14 Hz that are learnt from three
    quarters of the subjects tell the classes of the others apart with a balanced accuracy between
    0.8 and 0.95. The difference in power between classes is largest at the electrodes in
    ``truth.electrodes`` and falls off like ``truth.gain**2``; their neighbours carry the same
    information more weakly, as in real EEG. With an int as `random_state`, a change of
    `n_distractors` leaves all other electrodes as they are.

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
    """
    sources = _check_sources(sources)
    _check_numbers(n_subjects, n_epochs, len(sources))
    _check_ranges(
        sfreq=sfreq,
        duration=duration,
        frequency=frequency,
        snr=snr,
        background=background,
        slope=slope,
        variability=variability,
        distractor_gain=distractor_gain,
    )
    rng = check_random_state(random_state)
    # A stream of their own, so that data with and without distractors can be compared.
    rng_distractors = check_random_state(rng.randint(np.iinfo(np.int32).max))
    shape = (n_epochs, len(CH_NAMES), round(duration * sfreq))

    places = {label: _places_below(names) for label, names in sources.items()}
    gain = _class_gain(places)
    is_distractor = _draw_distractors(gain, n_distractors, rng_distractors)
    subjects = _draw_subjects(n_subjects, frequency, slope, variability, rng)
    fields = {
        label: _shifted_fields(at, n_subjects, variability, rng) for label, at in places.items()
    }

    blocks, labels = [], []
    for k, subject in enumerate(subjects.itertuples()):
        y = _balanced_labels(list(sources), n_epochs, rng)
        spectrum = _one_over_f(subject.slope)
        mixing = subject.amplitude * background * _background_mixing(variability, rng)
        data = mixing @ _noise(shape, sfreq, spectrum, rng)
        power = (mixing**2).sum(axis=1) * _share(spectrum, subject.frequency, shape[-1], sfreq)
        for label, names in sources.items():
            level = np.sqrt(snr * power[_indices(names)])
            rhythm = _rhythm(
                subject.frequency, (y == label).sum(), len(names), shape[-1], sfreq, rng
            )
            data[y == label] += (fields[label][k] * level) @ rhythm
        loud_shape = (n_epochs, is_distractor.sum(), shape[-1])
        loud = _noise(loud_shape, sfreq, spectrum, rng_distractors)
        data[:, is_distractor] = distractor_gain * background * subject.amplitude * loud
        blocks.append(data)
        labels.append(y)

    X, y = np.concatenate(blocks), np.concatenate(labels)
    metadata = pd.DataFrame(
        {"subject": np.repeat(subjects.index.to_numpy(), n_epochs), "session": "0", "run": "0"}
    )
    truth = SimulatedTruth(
        ch_names=CH_NAMES,
        classes=tuple(sources),
        electrodes=sources,
        positions=places,
        gain=gain * ~is_distractor,
        is_source=np.isin(CH_NAMES, [name for names in sources.values() for name in names]),
        is_distractor=is_distractor,
        frequency=frequency,
        subjects=subjects,
    )
    return (_to_epochs(X, y, metadata, sfreq) if return_epochs else X), y, metadata, truth


def _check_sources(sources):
    """Return the electrodes above the sources of each class, as tuples."""
    if sources is None:
        sources = {"left": "C3", "right": "C4"}
    checked = {
        str(label): (names,) if isinstance(names, str) else tuple(names)
        for label, names in sources.items()
    }
    if len(checked) < 2:
        raise ValueError(f"sources names {len(checked)} class(es); two or more are needed.")
    unknown = [name for names in checked.values() for name in names if name not in CH_NAMES]
    if unknown:
        raise ValueError(
            f"sources names the electrode {unknown[0]!r}, which is not one of the 64: "
            f"{', '.join(CH_NAMES)}."
        )
    return checked


def _check_numbers(n_subjects, n_epochs, n_classes):
    """Refuse counts that leave a class, or everything, without data."""
    if not isinstance(n_subjects, Integral) or n_subjects < 1:
        raise ValueError(f"n_subjects={n_subjects!r} is not a positive integer.")
    if not isinstance(n_epochs, Integral) or n_epochs < n_classes:
        raise ValueError(
            f"n_epochs={n_epochs!r} per subject; {n_classes} classes need at least as many."
        )


def _check_ranges(*, sfreq, frequency, **others):
    """Refuse numbers without a meaning."""
    for name in ("snr", "variability", "slope", "distractor_gain"):
        if not others[name] >= 0:
            raise ValueError(f"{name}={others[name]} is negative; give 0 or more.")
    for name in ("duration", "background"):
        if not others[name] > 0:
            raise ValueError(f"{name}={others[name]} is not positive; give more than 0.")
    if not 2 * _HALF_BAND < frequency < sfreq / 2 - 2 * _HALF_BAND:
        raise ValueError(
            f"frequency={frequency} Hz; at sfreq={sfreq} Hz the rhythm must lie between "
            f"{2 * _HALF_BAND} and {sfreq / 2 - 2 * _HALF_BAND} Hz."
        )


def _indices(names):
    """Return where electrodes stand among the channels."""
    return [CH_NAMES.index(name) for name in names]


@lru_cache(maxsize=1)
def _head():
    """Return the electrodes and the spherical head that fits them; both take a while to make."""
    info = mne.create_info(list(CH_NAMES), SFREQ, "eeg")
    info.set_montage(electrode_montage())
    return info, mne.make_sphere_model("auto", "auto", info, verbose="ERROR")


def _on_source_sphere(directions):
    """Return the places at the depth of the sources that lie in some directions."""
    _, sphere = _head()
    unit = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    return sphere["r0"] + _DEPTH * sphere.radius * unit


def _places_below(names):
    """Return the places below electrodes, of shape (n_names, 3)."""
    info, sphere = _head()
    electrodes = np.array([info["chs"][k]["loc"][:3] for k in _indices(names)]).reshape(-1, 3)
    return _on_source_sphere(electrodes - sphere["r0"])


def _lead_field(places):
    """Return what each electrode sees of dipoles that point outwards: (n_chans, n_places)."""
    info, sphere = _head()
    if not len(places):
        return np.zeros((len(CH_NAMES), 0))
    outwards = places - sphere["r0"]
    outwards = outwards / np.linalg.norm(outwards, axis=1, keepdims=True)
    zeros, ones = np.zeros(len(places)), np.ones(len(places))
    dipoles = mne.Dipole(zeros, places, 1e-9 * ones, outwards, 100 * ones)
    forward, _ = mne.make_forward_dipole(dipoles, sphere, info, verbose="ERROR")
    return forward["sol"]["data"]


@lru_cache(maxsize=1)
def _background_field():
    """Return the lead field of background dipoles, spread evenly over a cap of the brain."""
    k = np.arange(_N_BACKGROUND) + 0.5
    height = 1 - 1.5 * k / _N_BACKGROUND
    around = np.pi * (1 + np.sqrt(5)) * k  # the golden angle keeps neighbours apart
    radius = np.sqrt(1 - height**2)
    directions = np.column_stack([radius * np.cos(around), radius * np.sin(around), height])
    return _lead_field(_on_source_sphere(directions))


def _class_gain(places):
    """Return how strongly the electrodes see the sources of each class, at most 1."""
    seen = [np.sqrt((_lead_field(at) ** 2).sum(axis=1)) for at in places.values()]
    seen = [row / max(row.max(), np.finfo(float).tiny) for row in seen]
    return pd.DataFrame(seen, index=list(places), columns=list(CH_NAMES))


def _draw_distractors(gain, n_distractors, rng):
    """Return which electrodes are distractors, drawn from those that see little of the sources."""
    quiet = np.flatnonzero((gain < 0.5).all(axis=0))
    if not isinstance(n_distractors, Integral) or not 0 <= n_distractors <= len(quiet):
        raise ValueError(
            f"n_distractors={n_distractors!r}; with these sources it must be an integer from 0 "
            f"to {len(quiet)}, the number of electrodes that see little of them."
        )
    return np.isin(np.arange(len(CH_NAMES)), rng.permutation(quiet)[:n_distractors])


def _draw_subjects(n_subjects, frequency, slope, variability, rng):
    """Return what is particular to each subject."""
    z = variability * rng.standard_normal((3, n_subjects)).clip(-2, 2)
    return pd.DataFrame(
        {
            "frequency": frequency + _SPREAD_FREQUENCY * z[0],
            "amplitude": np.exp(_SPREAD_AMPLITUDE * z[1]),
            "slope": slope + _SPREAD_SLOPE * z[2],
        },
        index=pd.RangeIndex(1, n_subjects + 1, name="subject"),
    )


def _shifted_fields(places, n_subjects, variability, rng):
    """Return the lead fields of one class, at most 1: (n_subjects, n_chans, n_places)."""
    _, sphere = _head()
    shift = variability * _SPREAD_POSITION * rng.standard_normal((n_subjects, *places.shape))
    shifted = _on_source_sphere(places + shift - sphere["r0"])
    fields = _lead_field(shifted.reshape(-1, 3)).reshape(len(CH_NAMES), n_subjects, len(places))
    fields = fields.transpose(1, 0, 2)
    return fields / abs(fields).max(axis=1, keepdims=True) if len(places) else fields


def _balanced_labels(classes, n_epochs, rng):
    """Return labels in random order, as many of each class as of any other, or one more."""
    return rng.permutation(np.resize(classes, n_epochs))


def _background_mixing(variability, rng):
    """Return the mixing of white noise into a background with a mean square of 1.

    Equal in distribution to the sum over all dipoles, and cheaper: (n_chans, n_chans).
    """
    weights = np.exp(_SPREAD_BACKGROUND * variability * rng.standard_normal(_N_BACKGROUND))
    field = _background_field() * weights
    covariance = field @ field.T
    covariance *= (1 - _SENSOR_NOISE) / np.diag(covariance).mean()
    return np.linalg.cholesky(covariance + _SENSOR_NOISE * np.eye(len(CH_NAMES)))


def _one_over_f(slope):
    """Return the power spectrum of the background; flat below 1 Hz, where EEG is filtered."""
    return lambda f: np.where(f > 0, np.maximum(f, 1.0) ** -slope, 0.0)


def _peak(frequency):
    """Return the power spectrum of a rhythm."""
    return lambda f: np.exp(-0.5 * ((f - frequency) / _BANDWIDTH) ** 2)


def _share(spectrum, frequency, n_times, sfreq):
    """Return the share of a spectrum's power that lies near a frequency."""
    f = np.fft.rfftfreq(2 * n_times, 1 / sfreq)
    return spectrum(f)[abs(f - frequency) <= _HALF_BAND].sum() / spectrum(f).sum()


def _noise(shape, sfreq, spectrum, rng):
    """Return Gaussian noise with a spectrum and a mean square of 1."""
    n_times = shape[-1]
    # Shaped noise repeats itself; the half that is dropped keeps the ends of an epoch apart.
    n_made = 2 * n_times
    power = spectrum(np.fft.rfftfreq(n_made, 1 / sfreq))
    white = rng.standard_normal((*shape[:-1], n_made))
    shaped = np.fft.irfft(np.fft.rfft(white) * np.sqrt(power / power.mean()), n_made)
    return shaped[..., :n_times]


def _rhythm(frequency, n_epochs, n_sources, n_times, sfreq, rng):
    """Return the rhythm of each source, whose strength varies from epoch to epoch."""
    rhythm = _noise((n_epochs, n_sources, n_times), sfreq, _peak(frequency), rng)
    strength = np.exp(_SPREAD_TRIAL * rng.standard_normal((n_epochs, n_sources, 1)))
    return rhythm * strength / np.exp(_SPREAD_TRIAL**2)


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
