"""The recordings of simulated subjects, from sources in a spherical head to their electrodes."""

from functools import lru_cache

import mne
import numpy as np
import pandas as pd

from skeegformer._utils.info import electrode_montage
from skeegformer.datasets._channels import CH_NAMES, SFREQ

_DEPTH = 0.8  # of a source, as a fraction of the way from the centre of the head to the scalp
_BACKGROUND = 15.0  # microvolts, root mean square, on average over subjects
_N_BACKGROUND = 200  # dipoles, more than electrodes, so that the background has full rank
_SENSOR_NOISE = 0.01  # share of the background's power that no two electrodes have in common
_SPREAD_POSITION = 0.006  # m, of a subject's sources along each axis
_SPREAD_BACKGROUND = 0.3  # of the logarithm of a background dipole
HALF_BAND = 2.0  # Hz, on either side of the peak, in which `snr` counts
SPREAD_FREQUENCY = 0.7  # Hz, of a subject's peak
BANDWIDTH = 1.0  # Hz, standard deviation of the spectrum of the rhythm around its peak
_SPREAD_TRIAL = 0.3  # of the logarithm of a trial's rhythm, potential or blink
EVOKED_WIDTH = 0.06  # s, standard deviation of an evoked potential around its peak
LATENCY = 0.4  # s, from the start of an epoch to the peak of evoked potentials
_BLINK_PEAK = 150.0  # microvolts
_BLINK_WIDTHS = 0.06, 0.12  # s, of the closing and the opening of the lids
_SPREAD_LINE = 0.2  # of the logarithm of the line noise of an electrode
_ALPHA = ("O1", "O2")  # electrodes above the sources of the alpha rhythm that all classes have
_ALPHA_FREQUENCY = 10.0  # Hz
_DISTRACTOR_GAIN = 8.0  # root mean square of distractors, in units of the background's
LINE_FREQUENCY = 50.0  # Hz
_LINE_GAIN = 8.0  # root mean square of line noise, in units of the background's
_COPY_NOISE = 0.3  # root mean square of what a copy adds, in units of the background's
_SUPPRESSOR_NOISE = 0.3  # the same for suppressors
_COMMON = 0.05  # power of the rhythm that a suppressor shares, in units of that of the class
_SPREAD_COMMON = 1.0  # of the logarithm of its strength
_SPREAD_AMPLITUDE = 0.25  # of the logarithm of a subject's amplitude
_SLOPE, _SPREAD_SLOPE = 1.0, 0.15  # of the exponent of a subject's background spectrum


def indices(names):
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


def places_below(names):
    """Return the places below electrodes, of shape (n_names, 3)."""
    info, sphere = _head()
    electrodes = np.array([info["chs"][k]["loc"][:3] for k in indices(names)]).reshape(-1, 3)
    return _on_source_sphere(electrodes - sphere["r0"])


def lead_field(places):
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


def unit_field(names):
    """Return the lead field of sources below electrodes, at most 1: (n_chans, n_names)."""
    field = lead_field(places_below(names))
    return field / abs(field).max(axis=0, keepdims=True) if len(names) else field


@lru_cache(maxsize=1)
def blink_field():
    """Return what each electrode sees of a blink, at most 1."""
    field = unit_field(["Fp1", "Fp2"]).sum(axis=1)
    return field / field.max()


def shifted_fields(names, n_subjects, rng):
    """Return each subject's lead field, at most 1: (n_subjects, n_chans, n_names)."""
    _, sphere = _head()
    places = places_below(names)
    shift = _SPREAD_POSITION * rng.standard_normal((n_subjects, *places.shape))
    shifted = _on_source_sphere(places + shift - sphere["r0"])
    fields = lead_field(shifted.reshape(-1, 3)).reshape(len(CH_NAMES), n_subjects, len(places))
    fields = fields.transpose(1, 0, 2)
    return fields / abs(fields).max(axis=1, keepdims=True) if len(places) else fields


@lru_cache(maxsize=1)
def _background_field():
    """Return the lead field of background dipoles, spread evenly over a cap of the brain."""
    k = np.arange(_N_BACKGROUND) + 0.5
    height = 1 - 1.5 * k / _N_BACKGROUND
    around = np.pi * (1 + np.sqrt(5)) * k  # the golden angle keeps neighbours apart
    radius = np.sqrt(1 - height**2)
    directions = np.column_stack([radius * np.cos(around), radius * np.sin(around), height])
    return lead_field(_on_source_sphere(directions))


def background_mixing(rng):
    """Return the mixing of white noise into what all dipoles sum up to, with a mean square of 1."""
    weights = np.exp(_SPREAD_BACKGROUND * rng.standard_normal(_N_BACKGROUND))
    field = _background_field() * weights
    covariance = field @ field.T
    covariance *= (1 - _SENSOR_NOISE) / np.diag(covariance).mean()
    return np.linalg.cholesky(covariance + _SENSOR_NOISE * np.eye(len(CH_NAMES)))


def one_over_f(slope):
    """Return the power spectrum of the background; flat below 1 Hz, where EEG is filtered."""
    return lambda f: np.where(f > 0, np.maximum(f, 1.0) ** -slope, 0.0)


def rhythm_spectrum(frequency, width=BANDWIDTH):
    """Return the power spectrum of a rhythm."""
    return lambda f: np.exp(-0.5 * ((f - frequency) / width) ** 2)


def share(spectrum, frequency, n_times, sfreq):
    """Return the share of a spectrum's power that lies near a frequency."""
    f = np.fft.rfftfreq(2 * n_times, 1 / sfreq)
    return spectrum(f)[abs(f - frequency) <= HALF_BAND].sum() / spectrum(f).sum()


def noise(shape, sfreq, spectrum, rng):
    """Return Gaussian noise with a spectrum and a mean square of 1."""
    n_times = shape[-1]
    # Shaped noise repeats itself; the half that is dropped keeps the ends of an epoch apart.
    n_made = 2 * n_times
    power = spectrum(np.fft.rfftfreq(n_made, 1 / sfreq))
    white = rng.standard_normal((*shape[:-1], n_made))
    shaped = np.fft.irfft(np.fft.rfft(white) * np.sqrt(power / power.mean()), n_made)
    return shaped[..., :n_times]


def rhythm(frequency, n_epochs, n_sources, n_times, sfreq, rng):
    """Return the rhythm of each source, whose strength varies from epoch to epoch."""
    waves = noise((n_epochs, n_sources, n_times), sfreq, rhythm_spectrum(frequency), rng)
    # In this order of operations, because seeds promise data that are equal to the bit.
    varying = np.exp(_SPREAD_TRIAL * rng.standard_normal((n_epochs, n_sources, 1)))
    return waves * varying / np.exp(_SPREAD_TRIAL**2)


def strength(shape, rng, spread=_SPREAD_TRIAL):
    """Return factors with a mean square of 1 that vary from epoch to epoch."""
    return np.exp(spread * rng.standard_normal(shape) - spread**2)


def make_streams(rng):
    """Return a generator for each kind of addition."""
    # Each has its own, so that data with and without an addition can be compared.
    seed = rng.randint(np.iinfo(np.int32).max)
    kinds = ("evoked", "alpha", "blinks", "line", "copies", "suppressors")
    streams = {kind: np.random.RandomState([seed, k]) for k, kind in enumerate(kinds)}
    return {"distractors": np.random.RandomState(seed), **streams}


def draw_subjects(design, rng):
    """Return what is particular to each subject."""
    z = rng.standard_normal((3, design.n_subjects)).clip(-2, 2)
    return pd.DataFrame(
        {
            "frequency": design.mean_frequency + SPREAD_FREQUENCY * z[0],
            "amplitude": np.exp(_SPREAD_AMPLITUDE * z[1]),
            "slope": _SLOPE + _SPREAD_SLOPE * z[2],
        },
        index=pd.RangeIndex(1, design.n_subjects + 1, name="subject"),
    )


def record(design, channels, subjects, rng, streams):
    """Return data in microvolts, (n_subjects * n_epochs, n_chans, n_times), and labels."""
    # `rng` draws labels, background and rhythms, the generators in `streams` everything else.
    n_subjects = design.n_subjects
    rhythms = {label: shifted_fields(at, n_subjects, rng) for label, at in design.sources.items()}
    potentials = {
        label: shifted_fields(list(peaks), n_subjects, streams["evoked"])
        for label, peaks in design.evoked.items()
    }
    alpha = shifted_fields(_ALPHA, n_subjects, streams["alpha"])
    blocks, labels = [], []
    for k, subject in enumerate(subjects.itertuples()):
        y = rng.permutation(np.resize(list(design.sources), design.n_epochs))  # balanced
        session = _Session(design, channels, subject, y, rng, streams)
        for label in design.sources:
            session.add_rhythms(label, rhythms[label][k])
        for label in design.sources:
            session.add_potentials(label, potentials[label][k])
        session.add_alpha(alpha[k])
        session.add_blinks()
        session.replace_channels()
        blocks.append(session.data)
        labels.append(y)
    return np.concatenate(blocks), np.concatenate(labels)


class _Session:
    """The epochs of one subject, to which one thing after the other is added."""

    def __init__(self, design, channels, subject, y, rng, streams):
        self.design, self.channels, self.subject, self.y = design, channels, subject, y
        self.rng, self.streams = rng, streams
        self.scale = subject.amplitude * _BACKGROUND
        self.spectrum = one_over_f(subject.slope)
        mixing = self.scale * background_mixing(rng)
        self.power = (mixing**2).sum(axis=1)
        self.data = mixing @ self._noise(len(mixing), rng)
        # The first suppressor is for the first rhythm, and so on, in turn.
        n_rhythms = len(design.rhythms)
        self.suppressors = {
            source: channels["n_suppressors"][k::n_rhythms]
            for k, source in enumerate(design.rhythms)
        }
        self.common = {}

    def _noise(self, n_chans, rng, spectrum=None):
        shape = (len(self.y), n_chans, self.design.n_times)
        return noise(shape, self.design.sfreq, spectrum or self.spectrum, rng)

    def _level(self, snr, names, peak):
        """Return root mean squares of rhythms at their electrodes, in microvolts."""
        part = share(self.spectrum, peak, self.design.n_times, self.design.sfreq)
        return np.sqrt(snr * (self.power * part)[indices(names)])

    def add_rhythms(self, label, field):
        """Add the rhythms of a class, and what suppressors share with them."""
        design, names, of_class = self.design, self.design.sources[label], self.y == label
        offset = design.frequency[label] - design.mean_frequency
        peak = self.subject.frequency + offset
        level = self._level(design.snr, names, peak)
        shape = of_class.sum(), len(names), design.n_times
        waves = rhythm(peak, *shape, design.sfreq, self.rng)
        for i, name in enumerate(names):
            if len(self.suppressors[label, name]):
                varying = self._add_common((label, name), field[:, [i]], level[i], peak)
                waves[:, [i]] *= varying[of_class]
        self.data[of_class] += (field * level) @ waves

    def _add_common(self, source, field, level, peak):
        """Add a rhythm to epochs of all classes; return its strength in each."""
        rng = self.streams["suppressors"]
        varying = strength((len(self.y), 1, 1), rng, _SPREAD_COMMON)
        waves = np.sqrt(_COMMON) * level * varying * self._noise(1, rng, rhythm_spectrum(peak))
        self.data += field @ waves
        self.common[source] = waves
        return varying

    def add_potentials(self, label, field):
        """Add the evoked potentials of a class."""
        peaks = np.array(list(self.design.evoked[label].values()))
        if not len(peaks):
            return
        of_class = self.y == label
        shape = of_class.sum(), len(peaks), 1
        t = np.arange(self.design.n_times) / self.design.sfreq
        wave = np.exp(-0.5 * ((t - LATENCY) / EVOKED_WIDTH) ** 2)
        waves = self.subject.amplitude * strength(shape, self.streams["evoked"]) * wave
        self.data[of_class] += (field * peaks) @ waves

    def add_alpha(self, field):
        """Add the alpha rhythm that all classes have."""
        if not self.design.alpha_snr:
            return
        peak = _ALPHA_FREQUENCY + self.subject.frequency - self.design.mean_frequency
        level = self._level(self.design.alpha_snr, _ALPHA, peak)
        shape = len(self.y), len(_ALPHA), self.design.n_times
        waves = rhythm(peak, *shape, self.design.sfreq, self.streams["alpha"])
        self.data += (field * level) @ waves

    def add_blinks(self):
        """Add blinks at random times, of 150 microvolts at the forehead, and weak elsewhere."""
        design, rng, train = self.design, self.streams["blinks"], np.zeros_like(self.data[:, 0])
        n_times, sfreq = design.n_times, design.sfreq
        t = np.arange(n_times) / sfreq
        counts = rng.poisson(design.blink_rate / 60 * n_times / sfreq, len(train))
        for wave, count in zip(train, counts, strict=True):
            for peak in rng.uniform(0, n_times / sfreq, count):
                width = np.where(t < peak, *_BLINK_WIDTHS)
                lid = np.exp(-0.5 * ((t - peak) / width) ** 2)
                wave += _BLINK_PEAK * np.exp(_SPREAD_TRIAL * rng.standard_normal()) * lid
        if train.any():
            self.data += blink_field()[:, np.newaxis] * train[:, np.newaxis]

    def replace_channels(self):
        """Put other things in place of what some electrodes see."""
        design, streams, channels = self.design, self.streams, self.channels
        loud = self._noise(len(channels["n_distractors"]), streams["distractors"])
        level = _DISTRACTOR_GAIN * _BACKGROUND * self.subject.amplitude
        self.data[:, channels["n_distractors"]] = level * loud

        mains = channels["n_line_noise"]
        if len(mains):
            own, rng = self.scale * self._noise(len(mains), streams["line"]), streams["line"]
            phase = rng.uniform(0, 2 * np.pi, (len(own), 1, 1))  # one in all electrodes
            size = np.exp(_SPREAD_LINE * rng.standard_normal((len(mains), 1)))
            t = np.arange(design.n_times)
            wave = np.sin(2 * np.pi * LINE_FREQUENCY * t / design.sfreq + phase)
            self.data[:, mains] = own + _LINE_GAIN * _BACKGROUND * (np.sqrt(2) * size * wave)

        for source, waves in self.common.items():
            own = self._noise(len(self.suppressors[source]), streams["suppressors"])
            self.data[:, self.suppressors[source]] = waves + _SUPPRESSOR_NOISE * self.scale * own

        copies = channels["n_redundant"]
        if len(copies):
            originals = np.resize(indices(design.named), len(copies))
            own = self._noise(len(copies), streams["copies"])
            self.data[:, copies] = self.data[:, originals] + _COPY_NOISE * self.scale * own
