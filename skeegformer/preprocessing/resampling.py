"""Change of the sampling rate."""

from fractions import Fraction

import mne
import numpy as np

from skeegformer._validation import optional_positive, refuse_slow
from skeegformer.preprocessing._base import SignalTransformer, known_rate


class Resampler(SignalTransformer):
    """Change the sampling rate.

    Parameters
    ----------
    sfreq : float or None, default=None
        The new sampling rate in Hz; None leaves the signal as it is.
    input_sfreq : float or None, default=None
        Sampling rate of arrays in Hz. For Epochs, it must be None or their own rate.

    Notes
    -----
    Each epoch is resampled separately, with a polyphase filter that prevents aliasing, to
    ``round(n_times * sfreq / input_sfreq)`` samples, at least one. The input of `transform` may
    have another rate than that of `fit`, unless `sfreq` is None.

    Examples
    --------
    >>> import numpy as np
    >>> from skeegformer import Resampler
    >>> X = np.random.default_rng(0).standard_normal((5, 3, 320))
    >>> Resampler(80, input_sfreq=160).fit_transform(X).shape
    (5, 3, 160)
    """

    def __init__(self, sfreq=None, *, input_sfreq=None):
        self.sfreq = sfreq
        self.input_sfreq = input_sfreq

    def _told(self):
        return {"sfreq": self.input_sfreq, "same_sfreq": self.sfreq is None}

    def _prepare(self, eeg):
        optional_positive("sfreq", self.sfreq, "no change")
        optional_positive("input_sfreq", self.input_sfreq, "the rate of Epochs")
        if self.sfreq is not None:
            rate = known_rate(self, eeg, parameter="input_sfreq")
            refuse_slow("sfreq", [self.sfreq], eeg.data.shape[-1] / rate)
            if self.sfreq > 1000 * rate:
                raise ValueError(f"sfreq={self.sfreq!r} is over 1000 times the {rate:g} Hz of X.")

    def _transform_data(self, data, eeg):
        if self.sfreq is None or np.isclose(self.sfreq, eeg.sfreq):
            return data
        return _resample(data, self.sfreq, eeg.sfreq)

    def _transform_epochs(self, eeg):
        epochs = eeg.epochs.copy()
        if self.sfreq is None or np.isclose(self.sfreq, eeg.sfreq):
            return epochs
        data = _resample(epochs.get_data(copy=True), self.sfreq, eeg.sfreq)
        # For the rate, the times and all that hangs on them.
        epochs.resample(self.sfreq, npad=0, verbose="WARNING")
        epochs.get_data(copy=False)[:] = data
        return epochs


def _resample(data, new, old):
    """Resample in the last axis, to samples exactly 1 / new apart."""
    # MNE stretches a signal to the rounded number of samples, so that 481 samples at 160 Hz would
    # run ahead of their times; padded to a length that is rounded to itself, they do not.
    ratio = Fraction(new / old).limit_denominator(max(1000, int(2 * old / new)))
    n_times = data.shape[-1]
    # In floats as MNE rounds, whose Epochs have as many times; halves may go either way.
    n_new = max(round(n_times * (float(new) / old)), 1)
    padding = -n_times % ratio.denominator
    # "symmetric" repeats the last sample; "reflect" does not, and SciPy crashes on a single one.
    data = np.pad(data, [(0, 0), (0, 0), (0, padding)], mode="symmetric")
    return mne.filter.resample(
        data,
        up=ratio.numerator,
        down=ratio.denominator,
        method="polyphase",
        pad="symmetric",
        verbose="WARNING",
    )[..., :n_new]
