"""Filters in frequency; MNE computes them."""

import mne
import numpy as np

from skeegformer._validation import as_epochs, check_band, check_one_of, positive, refuse_slow
from skeegformer.preprocessing._base import SignalTransformer, known_rate

# Half of MNE's order rings for a shorter time, which short epochs need.
NOTCH_DESIGN = {"order": 2, "ftype": "butter", "output": "sos"}


class BandPassFilter(SignalTransformer):
    """Band-pass, low-pass or high-pass filter.

    Parameters
    ----------
    l_freq : float or None, default=None
        Lower cutoff frequency in Hz; None for no high-pass filter.
    h_freq : float or None, default=None
        Upper cutoff frequency in Hz; None for no low-pass filter.
    method : {"iir", "fir"}, default="iir"
        "iir" is a Butterworth filter of order 4, run forwards and backwards (zero phase); each
        cutoff is its -6 dB point. "fir" is MNE's default, a linear-phase windowed design: it is
        steeper, but with a lower cutoff below about 2 Hz it is longer than 2 s.
    sfreq : float or None, default=None
        Sampling rate of arrays in Hz. For Epochs, it must be None or their own rate.

    See Also
    --------
    NotchFilter : Removes power-line noise.

    Notes
    -----
    Only data channels are filtered, epoch by epoch. A high-pass of low frequency rings for longer
    than short epochs last: if possible, high-pass filter the continuous recording instead.

    Examples
    --------
    >>> import numpy as np
    >>> from skeegformer import BandPassFilter
    >>> times = np.arange(320) / 160
    >>> X = np.sin(2 * np.pi * 10 * times) + np.sin(2 * np.pi * 50 * times)
    >>> filtered = BandPassFilter(None, 30, sfreq=160).fit_transform(X[np.newaxis])
    >>> filtered.shape
    (1, 320)
    >>> bool(abs(filtered - np.sin(2 * np.pi * 10 * times))[:, 40:-40].max() < 0.02)
    True
    """

    def __init__(self, l_freq=None, h_freq=None, *, method="iir", sfreq=None):
        self.l_freq = l_freq
        self.h_freq = h_freq
        self.method = method
        self.sfreq = sfreq

    def _prepare(self, eeg):
        check_one_of("method", self.method, ("iir", "fir"))
        is_idle = self.l_freq is None and self.h_freq is None
        sfreq = None if is_idle else known_rate(self, eeg)
        seconds = None if is_idle else eeg.data.shape[-1] / sfreq
        check_band(self.l_freq, self.h_freq, sfreq, seconds)

    def _transform_data(self, data, eeg):
        if self.l_freq is None and self.h_freq is None:
            return data
        return mne.filter.filter_data(
            data, eeg.sfreq, self.l_freq, self.h_freq, copy=False, **self._filter_params()
        )

    def _transform_epochs(self, eeg):
        epochs = eeg.epochs.copy()
        if self.l_freq is None and self.h_freq is None:
            return epochs
        if not epochs.get_data(copy=False).flags.c_contiguous:
            epochs = as_epochs([epochs])  # MNE filters none that were cropped and then indexed
        return epochs.filter(self.l_freq, self.h_freq, **self._filter_params())

    def _filter_params(self):
        # The padding is named because MNE's defaults differ between Epochs and arrays.
        return {"method": self.method, "pad": "reflect_limited", "verbose": "WARNING"}


class NotchFilter(SignalTransformer):
    """Remove power-line noise.

    Parameters
    ----------
    freqs : float, sequence of float or None, default=None
        Frequencies to remove in Hz. For a single number, its harmonics are removed as well, if
        their stop band fits below half the sampling rate; for a sequence, only its elements. None
        for the line frequency of Epochs, ``info["line_freq"]``, with its harmonics.
    width : float, default=4.0
        Width of the stop band in Hz: around 50 Hz, 48 to 52 Hz are removed.
    sfreq : float or None, default=None
        Sampling rate of arrays in Hz. For Epochs, it must be None or their own rate.

    Attributes
    ----------
    freqs_ : list of float
        The frequencies that are removed, in Hz.

    See Also
    --------
    BandPassFilter : Keeps a band. With a cutoff below 40 Hz, no notch filter is needed.

    Notes
    -----
    A Butterworth band-stop filter of order 2 is run forwards and backwards over each epoch. Narrow
    stop bands ring for long: noise remains in the first and last half second of an epoch, and more
    for a smaller `width`. If possible, filter the continuous recording instead.

    Examples
    --------
    >>> import numpy as np
    >>> from skeegformer import NotchFilter
    >>> times = np.arange(500) / 250
    >>> X = np.sin(2 * np.pi * 50 * times)[np.newaxis]
    >>> notch = NotchFilter(50, sfreq=250).fit(X)
    >>> bool(abs(notch.transform(X))[:, 150:-150].max() < 0.02)
    True
    """

    def __init__(self, freqs=None, *, width=4.0, sfreq=None):
        self.freqs = freqs
        self.width = width
        self.sfreq = sfreq

    def _prepare(self, eeg):
        half = positive("width", self.width) / 2
        nyquist = known_rate(self, eeg) / 2
        refuse_slow("width", [self.width], eeg.data.shape[-1] / (2 * nyquist))
        base = self.freqs
        if base is None:
            base = None if eeg.info is None else eeg.info["line_freq"]
            if base is None:
                raise ValueError(
                    "freqs is None, but the power-line frequency is not known: say which, for "
                    'example NotchFilter(50), or set epochs.info["line_freq"].'
                )
        given = [positive("freqs", freq) for freq in np.ravel(base).tolist()]
        for freq in given if self.freqs is not None else ():
            if freq - half <= 0 or freq + half >= nyquist:
                raise ValueError(
                    f"freqs has {freq:g} Hz, whose stop band from {freq - half:g} to "
                    f"{freq + half:g} Hz does not lie between 0 and {nyquist:g} Hz, half the "
                    "sampling rate; leave it out, or make width smaller."
                )
        if np.ndim(base) == 0:
            given = (given[0] * np.arange(1, int(nyquist // given[0]) + 1)).tolist()
        self.freqs_ = [freq for freq in given if freq + half < nyquist]

    def _transform_data(self, data, eeg):
        for freq in self.freqs_:  # MNE's IIR filters have one stop band each
            data = mne.filter.notch_filter(
                data,
                eeg.sfreq,
                freq,
                notch_widths=self.width,
                trans_bandwidth=0.0,
                method="iir",
                iir_params=dict(NOTCH_DESIGN),
                copy=False,
                verbose="WARNING",
            )
        return data
