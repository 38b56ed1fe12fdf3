"""The steps in front of a classifier for a signal that arrives in pieces.

Each stage takes samples of shape (n_chans, n) and gives those that follow from them, however the
signal was cut. Stages hold a state, which `reset` forgets.
"""

import mne
import numpy as np
from scipy import signal

from skeegformer.baselines import ToMicrovolts
from skeegformer.preprocessing import (
    BandPassFilter,
    ChannelDropper,
    ChannelPicker,
    EuclideanAlignment,
    NotchFilter,
    Resampler,
)
from skeegformer.preprocessing.filters import NOTCH_DESIGN

# Of the low-pass in front of a lower rate: order, ripple in dB, and limit as a share of the rate.
_ANTI_ALIAS = (8, 0.05, 0.4)


class CausalFilter:
    """Filter that runs forwards, and starts as if the first sample had been there forever."""

    def __init__(self, sos):
        self.sos = sos
        self.reset()

    def reset(self):
        """Forget the signal."""
        self._state = None

    def __call__(self, samples):
        """Filter the next samples, of shape (n_chans, n)."""
        if not samples.shape[1]:
            return samples
        if self._state is None:
            self._state = signal.sosfilt_zi(self.sos)[:, None] * samples[:, :1]
        filtered, self._state = signal.sosfilt(self.sos, samples, zi=self._state)
        return filtered


class Decimator:
    """Low-pass, then every so many samples one."""

    def __init__(self, factor):
        order, ripple, limit = _ANTI_ALIAS
        self.factor = factor
        sos = signal.cheby1(order, ripple, 2 * limit / factor, output="sos")
        self.low_pass = CausalFilter(sos)
        self.reset()

    def reset(self):
        """Forget the signal."""
        self.low_pass.reset()
        self._n_seen = 0

    def __call__(self, samples):
        """Decimate the next samples, of shape (n_chans, n)."""
        first = -(self._n_seen + 1) % self.factor
        self._n_seen += samples.shape[1]
        return self.low_pass(samples)[:, first :: self.factor]


def make_stages(steps, sfreq):
    """Make the causal counterparts of fitted steps, and tell the rate that comes out."""
    # Choices of channels are left to `follow_channels`.
    stages = []
    for name, step in steps:
        if isinstance(step, BandPassFilter) and step.method == "iir":
            _refuse_other_rate(name, step, sfreq)
            if (step.l_freq, step.h_freq) != (None, None):
                stages.append(_filter(sfreq, step.l_freq, step.h_freq))
        elif isinstance(step, NotchFilter):
            _refuse_other_rate(name, step, sfreq)
            half = step.width / 2
            for freq in step.freqs_:
                params = dict(NOTCH_DESIGN)
                stages.append(_filter(sfreq, freq + half, freq - half, iir_params=params))
        elif isinstance(step, Resampler):
            if step.sfreq is not None and not np.isclose(step.sfreq, sfreq):
                stages.append(Decimator(_whole_factor(name, step, sfreq)))
                sfreq = float(step.sfreq)
        elif not isinstance(step, ChannelDropper | ChannelPicker | ToMicrovolts):
            why = "it is not known how to compute it sample by sample"
            if isinstance(step, EuclideanAlignment):
                why = "it needs all epochs of a subject at once"
            elif isinstance(step, BandPassFilter):
                why = "its filter looks ahead; take method='iir'"
            raise ValueError(
                f"The step {name!r} ({type(step).__name__}) cannot run on a stream: {why}. Steps "
                "can be BandPassFilter, NotchFilter, Resampler, ChannelDropper, ChannelPicker and "
                "ToMicrovolts; fit a Pipeline without this one."
            )
    return stages, sfreq


def _filter(sfreq, l_freq, h_freq, **params):
    """Make the Butterworth filter that `fit` runs in both directions."""
    options = {"method": "iir", "verbose": "WARNING", **params}
    return CausalFilter(mne.filter.create_filter(None, sfreq, l_freq, h_freq, **options)["sos"])


def _whole_factor(name, step, sfreq):
    factor = round(sfreq / step.sfreq)
    if factor < 1 or not np.isclose(sfreq / step.sfreq, factor):
        raise ValueError(
            f"The step {name!r} turns {sfreq:g} Hz into {step.sfreq:g} Hz, but of a stream only "
            "every second, third or so sample can be taken; record at a whole multiple of "
            f"{step.sfreq:g} Hz, or resample the recordings before fit."
        )
    return factor


def _refuse_other_rate(name, step, sfreq):
    if step.sfreq_ is not None and not np.isclose(step.sfreq_, sfreq):
        raise ValueError(
            f"The stream is sampled at {sfreq:g} Hz, but the step {name!r} was fitted at "
            f"{step.sfreq_:g} Hz; put Resampler({step.sfreq_:g}) in front of it in fit, or "
            "resample the stream."
        )


def follow_channels(steps, classifier):
    """Find which input channels reach the classifier, how many there are, and their names."""
    first = steps[0][1] if steps else classifier
    input_names = names = first.ch_names_
    rows = list(range(first.n_chans_))
    for _, step in steps:
        kept = getattr(step, "kept_ch_names_", None)
        if kept is None:  # no choice, or one of all channels, where nothing has a name
            continue
        if names is None:  # an array's names are told to the one who chooses
            input_names = names = step.ch_names_
        kept = [ch_name for ch_name in kept if ch_name in names]
        rows = [rows[names.index(ch_name)] for ch_name in kept]
        names = kept
    if names is not None and classifier.ch_names_ is not None:
        rows = [rows[names.index(ch_name)] for ch_name in classifier.ch_names_]
    return rows, first.n_chans_, None if input_names is None else list(input_names)
