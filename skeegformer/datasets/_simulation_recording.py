"""The recording of simulated subjects, from their sources to their electrodes."""

import numpy as np
import pandas as pd

from skeegformer.datasets._simulation_head import (
    background_mixing,
    blink_field,
    indices,
    shifted_fields,
)
from skeegformer.datasets._simulation_signals import (
    SPREAD_FREQUENCY,
    blinks,
    evoked_waveform,
    line_noise,
    noise,
    one_over_f,
    rhythm,
    rhythm_spectrum,
    share,
    strength,
)

_ALPHA = ("O1", "O2")  # electrodes above the sources of the alpha rhythm that all classes have
_ALPHA_FREQUENCY = 10.0  # Hz
_LINE_GAIN = 8.0  # root mean square of line noise, in units of the background's
_COPY_NOISE = 0.3  # root mean square of what a copy adds, in units of the background's
_SUPPRESSOR_NOISE = 0.3  # the same for suppressors
_COMMON = 0.05  # power of the rhythm that a suppressor shares, in units of that of the class
_SPREAD_COMMON = 1.0  # of the logarithm of its strength
_SPREAD_AMPLITUDE = 0.25  # of the logarithm of a subject's amplitude
_SPREAD_SLOPE = 0.15  # of the exponent of a subject's background spectrum


def make_streams(rng):
    """Return a generator for each kind of addition.

    Each has its own, so that data with and without an addition can be compared.
    """
    seed = rng.randint(np.iinfo(np.int32).max)
    kinds = ("evoked", "alpha", "blinks", "line", "copies", "suppressors")
    streams = {kind: np.random.RandomState([seed, k]) for k, kind in enumerate(kinds)}
    return {"distractors": np.random.RandomState(seed), **streams}


def draw_subjects(design, rng):
    """Return what is particular to each subject."""
    z = design.variability * rng.standard_normal((3, design.n_subjects)).clip(-2, 2)
    return pd.DataFrame(
        {
            "frequency": design.mean_frequency + SPREAD_FREQUENCY * z[0],
            "amplitude": np.exp(_SPREAD_AMPLITUDE * z[1]),
            "slope": design.slope + _SPREAD_SLOPE * z[2],
        },
        index=pd.RangeIndex(1, design.n_subjects + 1, name="subject"),
    )


def record(design, channels, subjects, rng, streams):
    """Return data in microvolts, (n_subjects * n_epochs, n_chans, n_times), and labels.

    Parameters
    ----------
    design : Design
        What is asked for.
    channels : dict of str to ndarray of int
        Kind to the channels that are replaced.
    subjects : pandas.DataFrame of shape (n_subjects, 3)
        Frequency, amplitude and slope.
    rng : RandomState
        Draws labels, background and rhythms.
    streams : dict of str to RandomState
        Draw everything else.
    """
    spread = design.n_subjects, design.variability
    rhythms = {label: shifted_fields(at, *spread, rng) for label, at in design.sources.items()}
    potentials = {
        label: shifted_fields(list(peaks), *spread, streams["evoked"])
        for label, peaks in design.evoked.items()
    }
    alpha = shifted_fields(_ALPHA, *spread, streams["alpha"])
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
        self.scale = subject.amplitude * design.background
        self.spectrum = one_over_f(subject.slope)
        mixing = self.scale * background_mixing(design.variability, rng)
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
        offset = design.frequencies.get(label, design.mean_frequency) - design.mean_frequency
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
        wave = evoked_waveform(self.design.latency, self.design.n_times, self.design.sfreq)
        waves = self.subject.amplitude * strength(shape, self.streams["evoked"]) * wave
        self.data[of_class] += (field * peaks) @ waves

    def add_alpha(self, field):
        """Add the alpha rhythm that all classes have."""
        if not self.design.alpha_snr:
            return
        peak = _ALPHA_FREQUENCY + self.subject.frequency - self.design.mean_frequency
        level = self._level(self.design.alpha_snr, _ALPHA, peak)
        shape = len(self.y), len(_ALPHA), self.design.n_times
        self.data += (field * level) @ rhythm(
            peak, *shape, self.design.sfreq, self.streams["alpha"]
        )

    def add_blinks(self):
        """Add blinks to the electrodes that see the eyes, and weakly to all others."""
        train = blinks(
            self.design.blink_rate,
            len(self.y),
            self.design.n_times,
            self.design.sfreq,
            self.streams["blinks"],
        )
        if train.any():
            self.data += blink_field()[:, np.newaxis] * train[:, np.newaxis]

    def replace_channels(self):
        """Put other things in place of what some electrodes see."""
        design, streams, channels = self.design, self.streams, self.channels
        loud = self._noise(len(channels["n_distractors"]), streams["distractors"])
        self.data[:, channels["n_distractors"]] = (
            design.distractor_gain * design.background * self.subject.amplitude * loud
        )

        mains = channels["n_line_noise"]
        if len(mains):
            own = self.scale * self._noise(len(mains), streams["line"])
            wave = line_noise(design.line_freq, own.shape, design.sfreq, streams["line"])
            self.data[:, mains] = own + _LINE_GAIN * design.background * wave

        for source, waves in self.common.items():
            own = self._noise(len(self.suppressors[source]), streams["suppressors"])
            self.data[:, self.suppressors[source]] = waves + _SUPPRESSOR_NOISE * self.scale * own

        copies = channels["n_redundant"]
        if len(copies):
            originals = np.resize(indices(design.named), len(copies))
            own = self._noise(len(copies), streams["copies"])
            self.data[:, copies] = self.data[:, originals] + _COPY_NOISE * self.scale * own
